"""How messages lie in a connection: one after the other, as here, or each in a frame (`sink/websocket.py`)."""

from __future__ import annotations


class ConnectionEnded(Exception):  # noqa: N818 - not an error of ours
    """The other end has had enough, or does not speak the protocol; the text is the reason."""


class Plain:
    """`tcp://`, one connection, sans I/O: the messages as they are; what the other end says means nothing."""

    @property
    def ready(self) -> bool:
        """Whether messages may be sent."""
        return True

    def begin(self) -> bytes:
        """What to send first."""
        return b""

    def frame(self, message: bytes) -> bytes:
        """What to send for a message."""
        return message

    def receive(self, _data: bytes) -> bytes:
        """Take what the other end has sent; what to answer. ConnectionEnded when nothing more may be sent."""
        return b""

    def finish(self) -> bytes:
        """What to send last."""
        return b""
