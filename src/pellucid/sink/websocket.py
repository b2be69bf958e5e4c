"""Messages in WebSocket frames (RFC 6455). Imported for a `ws://` place only: the library takes 1.4 MiB of each process."""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from pellucid.sink.framing import ConnectionEnded, Plain

MOST_HEARD = 64 * 1024
"""Bytes of a message from the other end, which nobody reads; one that says more is not what was meant."""


class WebSocket(Plain):
    """`ws://`: each message in a frame, text without its last newline; pings are answered."""

    def __init__(self, url: str, *, binary: bool) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=MOST_HEARD)
        self._send = self._protocol.send_binary if binary else self._protocol.send_text
        self._binary = binary

    @property
    def ready(self) -> bool:
        """Whether the handshake is done, and nobody has closed."""
        return self._protocol.state is OPEN

    def begin(self) -> bytes:
        """The handshake's request (RFC 6455 section 4.1)."""
        self._protocol.send_request(self._protocol.connect())
        return self._to_send()

    def frame(self, message: bytes) -> bytes:
        """One whole message in one frame."""
        self._send(message if self._binary else message.removesuffix(b"\n"))
        return self._to_send()

    def receive(self, data: bytes) -> bytes:
        """Take the handshake's answer, pings and the rest; a pong for each ping."""
        self._protocol.receive_data(data)
        self._protocol.events_received()
        refused = self._protocol.handshake_exc
        if isinstance(refused, InvalidStatus):
            raise ConnectionEnded(
                f"the server refused the WebSocket with status {refused.response.status_code}"
            )
        if refused is not None:
            raise ConnectionEnded(f"the server does not speak WebSocket ({refused})")
        if self._protocol.close_expected():
            raise ConnectionEnded("the other end has closed the WebSocket")
        return self._to_send()

    def finish(self) -> bytes:
        """A close frame (section 5.5.1)."""
        if not self.ready:
            return b""
        self._protocol.send_close(1000)
        return self._to_send()

    def _to_send(self) -> bytes:
        return b"".join(self._protocol.data_to_send())
