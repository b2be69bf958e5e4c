"""What tracer and decoder say to each other, over one socket pair.

Messages are whole (SOCK_SEQPACKET) and typed; file descriptors travel beside them (SCM_RIGHTS). The end
of either process closes the channel for the other. The decoder may only say that it has had enough,
that it is done, or that it failed, and ask for an output by its number once more: the next file of a
rotation, another connection to the same place. Nothing it says can widen what is captured or opened.
"""

from __future__ import annotations

import os
import select
import socket
from array import array
from typing import TYPE_CHECKING

import msgspec

from pellucid.errors import PellucidError
from pellucid.model import Clock, Drops, End, Interface, Interfaces, Logins, Offsets, Target, Users
from pellucid.sink import SinkSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGE = 1 << 17
MAX_FDS = 253
"""What the kernel passes with one message (SCM_MAX_FD in net/scm.h)."""


class Say(msgspec.Struct, tag=True, frozen=True):
    """One message."""


class Outputs(Say, frozen=True):
    """Tracer: the sinks to write; one descriptor each, in this order, then the recording's if there is one."""

    sinks: list[SinkSpec]
    recording: str | None


class Ring(Say, frozen=True):
    """Tracer: a ring to drain; its descriptor comes along."""

    object: int
    size: int
    btf: bytes
    packets: bool = False
    """Its batches are those of libbpf/packets.h."""


class Tell(Say, frozen=True):
    """Tracer: context for the stream."""

    context: Clock | Target | Users | Logins | Drops | Offsets | Interface | Interfaces | End


class Logged(Say, frozen=True):
    """Tracer: a line of its log, for the connection that the log goes to."""

    line: str


class Opened(Say, frozen=True):
    """Tracer: what was asked for, for this output; its descriptor comes along."""

    output: int
    """Its number in `Outputs.sinks`, from 0."""


class NotOpened(Say, frozen=True):
    """Tracer: the next file of this output cannot be had; one line for the user."""

    output: int
    reason: str


class Settle(Say, frozen=True):
    """Tracer: no record will be added; take what the rings still hold."""


class Finish(Say, frozen=True):
    """Tracer: the stream ends here."""


class Enough(Say, frozen=True):
    """Decoder: `--count` is reached, or the reader of the output went away: stop."""


class NextFile(Say, frozen=True):
    """Decoder: the file of this output is full, or old enough. It waits for the answer."""

    output: int


class Reconnect(Say, frozen=True):
    """Decoder: the connection of this output is gone. The answer comes when there is another."""

    output: int


class Done(Say, frozen=True):
    """Decoder: everything was written."""


class Failed(Say, frozen=True):
    """Decoder: it cannot go on; one line for the user."""

    reason: str


Anything = (
    Outputs
    | Ring
    | Tell
    | Logged
    | Opened
    | NotOpened
    | Settle
    | Finish
    | Enough
    | NextFile
    | Reconnect
    | Done
    | Failed
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Anything).decode


class Channel:
    """One end of the socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Two ends."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Channel(one), Channel(other)

    def fileno(self) -> int:
        """For poll(2)."""
        return self._socket.fileno()

    def send(self, message: Anything, fds: Sequence[int] = (), *, wait: bool = True) -> bool:
        """Send; false when the other process is gone, or without `wait` when it does not listen."""
        # Not socket.send_fds: it takes flags, and in Python 3.11 forgets them.
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
        try:
            self._socket.sendmsg([_encode(message)], rights, 0 if wait else socket.MSG_DONTWAIT)
        except (BrokenPipeError, ConnectionResetError, BlockingIOError):
            return False
        return True

    def readable(self) -> bool:
        """Whether `receive` would not wait."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def receive(self) -> tuple[Anything | None, list[int]]:
        """Wait for the next message and its descriptors (close-on-exec); None when the other end is gone.

        PellucidError for something that is no message: a broken decoder may say anything.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, MAX_FDS)
        except ConnectionResetError:
            # The other end closed without having read all that we sent. The kernel says so once, and first:
            # what it has sent by then comes after (unix_release_sock in net/unix/af_unix.c).
            data, fds, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, MAX_FDS)
        for fd in fds:
            os.set_inheritable(fd, False)
        try:
            return (_decode(data) if data else None), fds
        except ValueError as error:  # msgspec's own errors and UnicodeDecodeError
            raise PellucidError(f"the other process does not make sense: {error}") from error

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
