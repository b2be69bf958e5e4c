"""Content codings undone for display (RFC 9110 section 8.4.1), with a bound on what comes out.

A decoder takes the coded bytes and a limit and returns at most `limit` bytes, fewer where the input ends
early: a stream that is cut shows its beginning. It raises one of `_BROKEN` for bytes that are not in its
coding. None of them keeps state: bodies are decoded once, when they are shown.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

Decoder = Callable[[bytes, int], bytes]

_BROKEN = (zlib.error, brotli.error, zstandard.ZstdError)

_MAX_STACKED = 4
"""Codings of one body. Two are rare; each costs its decoder and up to `limit` bytes."""

_ZSTD_WINDOW = 8 << 20
"""The largest window that a zstd content coding may ask for, in bytes (RFC 9659 section 3)."""

_ZSTD_STEP = zstandard.DECOMPRESSION_RECOMMENDED_OUTPUT_SIZE
"""Bytes asked for at once: a reader allocates what it is asked for, whatever comes of it."""

_GZIP_STEP = 4096
"""Bytes that zlib is given at once: it copies what follows a member, and an empty one has 20 bytes."""

_GZIP = zlib.MAX_WBITS | 16
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def _gzip(data: bytes, limit: int) -> bytes:
    """Undo gzip: one or more members (RFC 1952 section 2.2); what follows them is padding."""
    out = bytearray()
    at = 0
    while at < len(data) and len(out) < limit:
        before = len(out)
        try:
            at = _gzip_member(memoryview(data), at, out, limit)
        except zlib.error:
            if not before:
                raise
            return bytes(out[:before])
    return bytes(out)


def _gzip_member(data: memoryview, at: int, out: bytearray, limit: int) -> int:
    """Undo the member that begins at index `at`; return the index after it."""
    member = zlib.decompressobj(_GZIP)
    while at < len(data) and len(out) < limit and not member.eof:
        piece = data[at : at + _GZIP_STEP]
        out += member.decompress(piece, limit - len(out))
        at += len(piece) - len(member.unused_data) - len(member.unconsumed_tail)
    return at


def _deflate(data: bytes, limit: int) -> bytes:
    """Undo deflate: in zlib's wrapping as the RFC says, or bare as some servers send it (its note)."""
    try:
        return zlib.decompressobj(_ZLIB).decompress(data, limit)
    except zlib.error:
        return zlib.decompressobj(_RAW_DEFLATE).decompress(data, limit)


def _brotli(data: bytes, limit: int) -> bytes:
    """Undo brotli (RFC 7932). One call may pass `limit` by a block of 32 KiB, which is cut off."""
    decoder = brotli.Decompressor()
    out: bytes = decoder.process(data, output_buffer_limit=limit)
    # Of a stream that does not end here it says that it can accept more data while there is more to come out.
    while len(out) < limit and (piece := decoder.process(b"", output_buffer_limit=limit - len(out))):
        out += piece
    return out[:limit]


def _zstd(data: bytes, limit: int) -> bytes:
    """Undo zstd (RFC 8878), all its frames."""
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    out = bytearray()
    with decoder.stream_reader(data, read_across_frames=True) as reader:
        while piece := reader.read(min(_ZSTD_STEP, limit - len(out))):
            out += piece
    return bytes(out)


_DECODERS: dict[str, Decoder] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def _names(content_encoding: str) -> list[str]:
    """Split the header into its codings, in the order in which they were applied."""
    names = (name.strip().lower() for name in content_encoding.split(","))
    return [name for name in names if name not in {"", "identity"}]


def decode(data: bytes, content_encoding: str, limit: int) -> tuple[bytes, bool] | None:
    """Undo all codings, the last one first; return at most `limit` bytes and whether something was cut.

    None where a coding is unknown or the bytes are not in it: then they are shown as they are.
    """
    codings = _names(content_encoding)
    decoders = [_DECODERS.get(name) for name in codings[: _MAX_STACKED + 1]]
    if len(decoders) > _MAX_STACKED:
        return None
    cut = False
    for decoder in reversed(decoders):
        if decoder is None:
            return None
        try:
            data = decoder(data, limit + 1)
        except _BROKEN:
            return None
        cut = cut or len(data) > limit
        data = data[:limit]
    return data, cut
