"""Content codings undone while the bytes arrive (RFC 9110 section 8.4.1), for bodies that are read live.

Each decoder takes what there is and yields what comes of it, in pieces of bounded size; it keeps its window
from piece to piece, and nothing else. It raises `CodingError` for bytes that are not in its coding, or become more
than an `Expansion` allows.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import brotli
import zstandard

from pellucid.parse.bodies.expansion import Expansion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STEP = 64 * 1024
"""Bytes that come out at once."""

_ZSTD_INPUT = 64
"""Bytes that zstd is given at once, for it has no bound on what comes out: a block of 128 KiB takes four bytes at
least (RFC 8878 section 3.1.1.2), so this is 2 MiB at most."""

_ZSTD_WINDOW = 8 << 20
"""The largest window that a zstd content coding may ask for, in bytes (RFC 9659 section 3)."""

_BROTLI_WINDOW = 16 << 20
"""The largest window of brotli, in bytes (RFC 7932 section 9.1)."""

_ZLIB_WINDOW = 32 << 10

_ZLIB_INPUT = 4096
"""Bytes that zlib is given at once: it copies what follows a member, and an empty one has 20 bytes."""

_TABLES = 64 * 1024
"""Bytes of memory that a decoder takes besides its window, about."""


class CodingError(ValueError):
    """The bytes are not in the coding that their headers name, or are made to become too many."""


class CodingStream(ABC):
    """Undoes one coding."""

    window: int
    """Bytes of what came out that it may go back to."""

    def __init__(self) -> None:
        self._expansion = Expansion()

    @property
    def cost(self) -> int:
        """Bytes of memory: windows fill up with what comes out."""
        return _TABLES + min(self._expansion.made, self.window)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes of the next bytes. Raises `CodingError`."""
        expansion = self._expansion
        expansion.came += len(data)
        try:
            for piece in self._pieces(data):
                expansion.made += len(piece)
                if expansion.excessive:
                    raise CodingError("it becomes too much")
                yield piece
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise CodingError(str(error)) from error

    @abstractmethod
    def _pieces(self, data: bytes) -> Iterator[bytes]: ...


class _Gzip(CodingStream):
    """gzip, in one or more members (RFC 1952 section 2.2)."""

    window = _ZLIB_WINDOW

    def __init__(self) -> None:
        super().__init__()
        self._member: zlib._Decompress | None = None

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZLIB_INPUT):
            yield from self._members(data[at : at + _ZLIB_INPUT])

    def _members(self, data: bytes) -> Iterator[bytes]:
        while data:
            member = self._member = self._member or zlib.decompressobj(self._wrapping(data[0]))
            yield member.decompress(data, _STEP)
            while not member.unconsumed_tail and (piece := member.decompress(b"", _STEP)):
                yield piece
            data = member.unconsumed_tail
            if member.eof:
                data = member.unused_data
                self._member = None

    def _wrapping(self, first: int) -> int:  # noqa: ARG002  # deflate has two
        return zlib.MAX_WBITS | 16


class _Deflate(_Gzip):
    """deflate, in zlib's wrapping as the RFC says, or bare as some servers send it (its note)."""

    def _wrapping(self, first: int) -> int:
        """Tell by the low half of the first byte, which is 8 in zlib's wrapping (RFC 1950 section 2.2).

        Bare, it would be a stored block with bits set that nobody sets (RFC 1951 section 3.2.4).
        """
        return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


class _Brotli(CodingStream):
    """brotli (RFC 7932)."""

    window = _BROTLI_WINDOW

    def __init__(self) -> None:
        super().__init__()
        self._decoder = brotli.Decompressor()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        piece = self._decoder.process(data, output_buffer_limit=_STEP)
        # It says that it can accept more data while there is still more to come out.
        while piece or not self._decoder.can_accept_more_data():
            yield piece
            piece = self._decoder.process(b"", output_buffer_limit=_STEP)


class _Zstd(CodingStream):
    """zstd (RFC 8878), all its frames."""

    window = _ZSTD_WINDOW

    def __init__(self) -> None:
        super().__init__()
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._decoder = decoder.decompressobj(read_across_frames=True)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_INPUT):
            yield self._decoder.decompress(data[at : at + _ZSTD_INPUT])


_STREAMS: dict[str, Callable[[], CodingStream]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def coding_stream(name: str) -> CodingStream | None:
    """What undoes the coding of this name; None for one that is not known."""
    made = _STREAMS.get(name.strip().lower())
    return made() if made else None
