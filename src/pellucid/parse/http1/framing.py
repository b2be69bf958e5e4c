"""Where the body of an HTTP/1 message ends (RFC 9112 sections 6 and 7).

A framing takes bytes until it is `done`, and passes the body's own to its `body`; `cost` is the memory, in
bytes, that it takes above that of the body. `feed(data, at)` returns the index after what it took. `gap(size)` says
whether it still knows, after `size` missing bytes, where the body ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.budget import FIELD_COST
from pellucid.parse.http1.fields import read_fields

if TYPE_CHECKING:
    from pellucid.model import Headers
    from pellucid.parse.bodies.body import Body

_MAX_SIZE_DIGITS = 16
"""Sizes beyond 64 bits are refused, as llhttp and all servers do."""

_MAX_LINE = 16 * 1024
"""Bytes of one line: chunk extensions (RFC 9112 section 7.1.1) are short, where there are any."""


class Sized:
    """Content-Length: so many bytes."""

    __slots__ = ("_left", "body")

    cost = 0

    def __init__(self, length: int, body: Body) -> None:
        self._left = length
        self.body = body

    @property
    def done(self) -> bool:
        """No byte is missing."""
        return not self._left

    def feed(self, data: bytes, at: int) -> int:
        """Take what is still missing."""
        piece = data[at : at + self._left]
        self.body.add(piece)
        self._left -= len(piece)
        return at + len(piece)

    def gap(self, size: int) -> bool:
        """The end is known as long as it is not in the hole."""
        taken = min(size, self._left)
        self.body.lose(taken)
        self._left -= taken
        return taken == size


class UntilClose:
    """Neither length nor chunks: a response that ends with its connection."""

    __slots__ = ("body",)

    cost = 0
    done = False

    def __init__(self, body: Body) -> None:
        self.body = body

    def feed(self, data: bytes, at: int) -> int:
        """Take all."""
        self.body.add(data[at:] if at else data)
        return len(data)

    def gap(self, size: int) -> bool:
        """Only the size changes."""
        self.body.lose(size)
        return True


class ChunkError(ValueError):
    """A line of the chunked coding is not what it must be; it begins, or goes on, at index `at`."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.at = at


class Chunked:
    """`Transfer-Encoding: chunked`: size lines, data, and trailers after the last one."""

    __slots__ = ("_left", "_line", "_max_trailers", "_next", "_trailers", "body", "done", "trailers")

    def __init__(self, body: Body, max_trailers: int) -> None:
        self.body = body
        self.done = False
        self.trailers: Headers = []
        self._max_trailers = max_trailers
        self._line = bytearray()
        self._trailers = bytearray()
        self._left = 0
        """Data bytes that this chunk still has."""
        self._next = self._size_line
        """What the next line is."""

    @property
    def held(self) -> bytes:
        """Bytes taken that are in no complete line, or in trailers not yet complete."""
        return bytes(self._trailers + self._line)

    @property
    def cost(self) -> int:
        """Bytes of memory that lines and trailers take, above those of the body."""
        trailers = sum(len(name) + len(value) + FIELD_COST for name, value in self.trailers)
        return self._line.__sizeof__() + self._trailers.__sizeof__() + trailers

    def feed(self, data: bytes, at: int) -> int:
        """Take bytes up to the end of the trailers. Raises `ChunkError`."""
        while at < len(data) and not self.done:
            at = self._data(data, at) if self._left else self._line_piece(data, at)
        return at

    def gap(self, size: int) -> bool:
        """The end is known only if the hole lies within the data of one chunk."""
        taken = min(size, self._left)
        self.body.lose(taken)
        self._left -= taken
        return taken == size

    def _data(self, data: bytes, at: int) -> int:
        piece = data[at : at + self._left]
        self.body.add(piece)
        self._left -= len(piece)
        return at + len(piece)

    def _line_piece(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1
        piece = data[at : end or len(data)]
        if len(self._line) + len(piece) > _MAX_LINE:
            raise ChunkError("a line is too long", at)
        if end:
            try:
                self._next(bytes(self._line) + piece)
            except ValueError as error:
                raise ChunkError(str(error), at) from error
            self._line.clear()
        else:
            self._line += piece
        return end or len(data)

    def _size_line(self, line: bytes) -> None:
        size = line.partition(b";")[0].strip()
        if not size.isalnum() or len(size) > _MAX_SIZE_DIGITS:
            raise ValueError("no chunk size")
        self._left = int(size, 16)
        self._next = self._data_end if self._left else self._trailer_line

    def _data_end(self, line: bytes) -> None:
        if line.strip(b"\r\n"):
            raise ValueError("a chunk is longer than its size")
        self._next = self._size_line

    def _trailer_line(self, line: bytes) -> None:
        if line in {b"\r\n", b"\n"}:
            self.trailers = read_fields(bytes(self._trailers) + line).fields if self._trailers else []
            self._trailers.clear()
            self.done = True
        elif len(self._trailers) + len(line) > self._max_trailers:
            raise ValueError("trailers are too long")
        else:
            self._trailers += line


Framing = Sized | UntilClose | Chunked
