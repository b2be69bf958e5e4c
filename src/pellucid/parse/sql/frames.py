"""Messages that begin with a header that tells their length, cut out of the bytes of one direction.

Of each message the first bytes are kept, up to what its header says is wanted: a row of 1 GiB takes no memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.model import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pellucid.model import Connection, Direction, Gap

    ReadHeader = Callable[[bytes | bytearray, int], "Header | None"]
    """Reads the header at an index; None where bytes of it are missing yet. Raises `BrokenError`."""


class BrokenError(ValueError):
    """The bytes are not what the protocol has here."""


class Header(NamedTuple):
    """What a header says."""

    length: int
    """Bytes of the header."""
    type: int
    """MySQL's sequence number, PostgreSQL's letter."""
    size: int
    """Bytes of the payload that follows."""
    keep: int
    """So many of them are wanted."""


class Frame(NamedTuple):
    """One message; times in nanoseconds since 1970, UTC."""

    type: int
    last: int
    """The type of its last part, where it was put together of several."""
    payload: bytes
    """Its first bytes: those that are wanted, and lie before the first one that is missing."""
    size: int
    """Bytes of the whole payload."""
    lost: int
    """How many of them are missing."""
    began: int
    ended: int

    @property
    def whole(self) -> bool:
        """The payload is all there."""
        return len(self.payload) == self.size


class Framer:
    """One direction of a connection."""

    __slots__ = (
        "_at", "_began", "_done", "_head", "_header", "_kept", "_left", "_lost", "_offset", "_read", "direction",
    )  # fmt: skip

    def __init__(self, direction: Direction, read: ReadHeader) -> None:
        self.direction = direction
        self._read = read
        self._head = bytearray()
        """The header of the current message, as far as it came."""
        self._header: Header | None = None
        self._done: Frame | None = None
        """The current message, while it is being looked at."""
        self._kept = bytearray()
        self._left = 0
        """Bytes of the payload that are still to come."""
        self._lost = 0
        self._began = 0
        self._offset = 0
        """Where the current message begins in the stream."""
        self._at = 0
        """Where the next one begins in the current chunk."""

    def cut(self, chunk: Chunk) -> Iterator[Frame]:
        """Yield the messages that the chunk completes. Raises `BrokenError`; then `release` gives back what is left."""
        self._at = 0
        while True:
            if self._header is None:
                if not self._head:
                    yield from self._cut_whole(chunk)
                self._header = self._begin(chunk)
                if self._header is None:
                    return
            self._fill(chunk.data)
            if self._left:
                return
            yield from self._end(self._header, chunk.time)

    def _cut_whole(self, chunk: Chunk) -> Iterator[Frame]:
        """Yield messages while they are whole in the chunk: nearly all are, and rows may be millions."""
        data, time, end = chunk.data, chunk.time, len(chunk.data)
        at = self._at
        while True:
            self._offset = chunk.offset + at
            header = self._read(data, at)
            if header is None:
                return
            length, type, size, keep = header
            start = at + length
            at = start + size
            if at > end:
                return
            payload = data[start : start + keep] if size > keep else data[start:at]
            yield Frame(type, type, payload, size, 0, time, time)
            self._at = at

    def skip(self, gap: Gap) -> Iterator[Frame]:
        """Go on after a hole that lies within one message. Raises `BrokenError` where another begins in it."""
        if self._header is None or gap.size > self._left:
            raise BrokenError("bytes were lost")
        self._left -= gap.size
        self._lost += gap.size
        if not self._left:
            yield from self._end(self._header, gap.time)

    def release(self, connection: Connection, chunk: Chunk | None = None) -> list[Chunk]:
        """Give back the message that is current and, where `chunk` is being cut, what follows in it; begin anew.

        Of a message that is longer than what is kept of it, it is that part.
        """
        if chunk and self._offset >= chunk.offset:
            current, at = None, self._offset - chunk.offset
        else:
            payload = self._done.payload if self._done else self._kept
            current = Chunk(
                connection, self.direction, self._offset, self._began, bytes(self._head + payload)
            )
            at = self._at
        after = chunk._replace(offset=chunk.offset + at, data=chunk.data[at:]) if chunk else None
        self._head.clear()
        self._kept.clear()
        self._header = self._done = None
        self._left = self._lost = 0
        return [piece for piece in (current, after) if piece and piece.data]

    @property
    def held(self) -> int:
        """Bytes of memory that the current message takes."""
        return self._kept.__sizeof__()

    def _begin(self, chunk: Chunk) -> Header | None:
        """Read the next header as far as it is there; None where it is not whole."""
        data = chunk.data
        if not self._head:
            self._began = chunk.time
            self._offset = chunk.offset + self._at
        header = None if self._head else self._read(data, self._at)
        if header:
            self._head += data[self._at : self._at + header.length]
            self._at += header.length
        while header is None and self._at < len(data):
            self._head.append(data[self._at])
            self._at += 1
            header = self._read(self._head, 0)
        if header:
            self._left = header.size
        return header

    def _fill(self, data: bytes) -> None:
        assert self._header is not None
        take = min(self._left, len(data) - self._at)
        room = 0 if self._lost else self._header.keep - len(self._kept)
        if take and room > 0:
            self._kept += data[self._at : self._at + min(take, room)]
        self._at += take
        self._left -= take

    def _end(self, header: Header, time: int) -> Iterator[Frame]:
        self._done = Frame(
            header.type, header.type, bytes(self._kept), header.size, self._lost, self._began, time
        )
        self._kept.clear()
        self._lost = 0
        yield self._done
        self._done = self._header = None
        self._head.clear()
