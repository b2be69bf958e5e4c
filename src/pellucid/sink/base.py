"""What every sink is: a format's name, and messages in, bytes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from pellucid.model import Lost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.model import Flow, Message
    from pellucid.settings import Mode
    from pellucid.sink.output import Output

View = Literal["all", "headers", "body", "quiet"]


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How a person wants to see messages; formats for programs ignore it."""

    color: bool = False
    hex: bool = False
    """Every payload as a hex dump."""
    truncate: int = 0
    """Bytes of each payload to show; 0 shows all of it."""
    verbose: bool = False
    """Also show connections being opened and closed."""
    view: View = "all"
    """Of each message `all`, no payloads (`headers`), payloads alone (`body`), or one line (`quiet`)."""
    terminal: bool = False
    """A person looks at it: JSON is laid out, forms become tables."""
    width: int = 80
    """Columns of the terminal; only tables go by it."""


class Sink(ABC):
    """Writes messages in one format; never opens anything, never changes a message."""

    format: ClassVar[str]
    """The name in `-o FORMAT:PLACE`."""
    binary: ClassVar[bool] = False
    """Whether it is no text: for outputs that tell them apart (WebSocket)."""
    not_with: ClassVar[Mapping[Mode, str]] = {}
    """Where nothing of what is captured is in this format: the reason, or what to say instead."""
    kinds: ClassVar[frozenset[str]] = frozenset()
    """The types of messages (`type` in JSON) without which nothing is in it; empty: it shows all."""
    content: ClassVar[str] = ""
    """What people call these."""
    needs_file: ClassVar[bool] = False
    """Whether only a regular file will do: the format changes what it has written."""
    has_head: ClassVar[bool] = False
    """Whether nothing can be read without what a file begins with: no connection, which may be made anew in the middle."""

    appends: ClassVar[bool] = False
    """Whether a file keeps what it holds, and goes on behind it: such a file neither rotates nor is compressed."""

    @classmethod
    def continues(cls, beginning: bytes) -> bool:  # noqa: ARG003 - most formats replace what a file holds
        """Whether a file that begins with these bytes may be appended to. Asked of formats that do."""
        return True

    def __init__(self, output: Output, options: SinkOptions) -> None:
        self._output = output
        self._options = options

    def begin(self) -> None:  # noqa: B027 - most formats begin with nothing
        """Append what a file of this format begins with, if anything: for each file that a rotation makes."""

    @abstractmethod
    def write(self, message: Message) -> None:
        """Append one message to the output; raise OutputClosed or PellucidError if that fails."""

    def finish(self) -> None:  # noqa: B027 - and end with nothing
        """Append what a file of this format ends with, if anything: before a rotation, and at the end."""

    def flush(self) -> None:
        """Hand everything written so far to the kernel; raises as `write` does."""
        self._output.flush()
        self._say_missed()

    def close(self) -> None:
        """Finish, flush and close the output; raises as `write` does."""
        try:
            self.finish()
            self._output.settle()
            self._say_missed()
        finally:
            self._output.close()

    def _append(self, data: bytes | bytearray) -> None:
        """Append one whole message to the output, or to its next file. For `write` of every format that appends."""
        if data:
            self._make_room(len(data))
            self._output.write(data)

    def _make_room(self, size: int) -> None:
        """Begin the next file if a message of so many bytes is to be its first."""
        following = self._output.following(size, self.flush)
        if following is not None:
            self.finish()
            self._output.turn(following)
            self.begin()

    def _say_missed(self) -> None:
        """Write what the reader was too slow for, where it is missing."""
        missed = self._output.missed()
        if missed is None:
            return
        self.write(
            Lost(
                ts=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                conn=None,
                direction=None,
                offset=None,
                size=missed.size,
                messages=missed.messages,
                reason="place_full",
            )
        )
        self._output.flush()


class Tap(Sink):
    """A sink of what messages are made of: ordered bytes of connections, and their holes. Nothing masks these."""

    def write(self, message: Message) -> None:
        """Pass over it: what it was made of has come to `tap`."""

    @abstractmethod
    def tap(self, flow: Flow) -> None:
        """Append a piece of the flow; raises as `write` does. What a parser found out about its connection is there already."""
