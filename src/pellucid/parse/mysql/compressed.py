"""The compressed protocol of MySQL: packets of packets, each as it is or by zlib.

A header of seven bytes has the compressed length, a sequence number, and the length before compression, which is 0
where the payload is not compressed. zstd (MySQL 8.0.18) is not read.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from pellucid.model import Direction
from pellucid.parse.sql.frames import BrokenError

if TYPE_CHECKING:
    from pellucid.model import Chunk

_HEADER = 7
_ZSTD = b"\x28\xb5\x2f\xfd"
"""The magic number of a zstd frame (RFC 8878 section 3.1.1)."""

COMPRESSION_COST = 2 * 48 * 1024
"""Bytes of the decompressors of a connection while packets are under way: windows of 32 KiB and tables."""


class Compression:
    """A connection that speaks it."""

    def __init__(self) -> None:
        self._inflate = {Direction.READ: _Inflate(), Direction.WRITE: _Inflate()}
        self.chunk: Chunk | None = None
        """What is being read."""

    def plain(self, chunk: Chunk) -> Chunk:
        """Return the chunk as it was before compression, in the same place. Raises `BrokenError`."""
        self.chunk = chunk
        return chunk._replace(data=self._inflate[chunk.direction].feed(chunk.data))


class _Inflate:
    """One direction."""

    __slots__ = ("_decoder", "_head", "_left", "_size")

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        """Bytes of the payload that are still to come."""
        self._size = 0
        """Bytes that are still to come of it; where it is not compressed, that is not counted."""
        self._decoder: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the next bytes become, 16 MiB for each packet at most. Raises `BrokenError`."""
        out = bytearray()
        at = 0
        while at < len(data):
            if len(self._head) < _HEADER:
                self._head.append(data[at])
                at += 1
                if len(self._head) == _HEADER:
                    self._begin()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            out += self._inflated(piece)
            if not self._left:
                self._end()
        return bytes(out)

    def _begin(self) -> None:
        self._left = int.from_bytes(self._head[:3], "little")
        self._size = int.from_bytes(self._head[4:], "little")
        self._decoder = zlib.decompressobj() if self._size else None
        if not self._left:
            raise BrokenError("a compressed packet of nothing")

    def _inflated(self, piece: bytes) -> bytes:
        if self._decoder is None:
            return piece
        try:
            out = self._decoder.decompress(piece, self._size + 1)
        except zlib.error as error:
            told = "compression by zstd is not read" if piece.startswith(_ZSTD) else "no packet of zlib"
            raise BrokenError(told) from error
        self._size -= len(out)
        if self._size < 0:
            raise BrokenError("a compressed packet longer than it says")
        return out

    def _end(self) -> None:
        if self._decoder and (self._size or not self._decoder.eof):
            raise BrokenError("a compressed packet shorter than it says")
        self._head.clear()
        self._decoder = None
