"""How large an image is, read from its own header: the media type may say anything."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_PNG = b"\x89PNG\r\n\x1a\n"
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers that stand alone (ITU-T T.81 table B.1)."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Those that begin a frame, and say its size."""
_MAX_SEGMENTS = 1000


class Image(NamedTuple):
    """An image's format, and its size in pixels."""

    format: str
    width: int
    height: int


def image_in(data: bytes) -> Image | None:
    """Recognise PNG, GIF, JPEG and WebP by their first bytes; None for anything else, and where these are not whole."""
    reader = next((read for magic, read in _READERS.items() if data.startswith(magic)), None)
    try:
        return reader(data) if reader else None
    except (struct.error, IndexError):
        return None


def _png(data: bytes) -> Image:
    return Image("PNG", *struct.unpack_from(">II", data, 16))  # PNG specification section 11.2.2


def _gif(data: bytes) -> Image:
    return Image("GIF", *struct.unpack_from("<HH", data, 6))  # GIF89a section 18


def _jpeg(data: bytes) -> Image | None:
    """ITU-T T.81 section B.1.1.4: segments follow each other, each with its length."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("JPEG", width, height)
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp(data: bytes) -> Image | None:
    """RFC 9649 sections 2.5 to 2.7; the frame header of VP8 is in RFC 6386 section 9.1."""
    if data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return Image("WebP", width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return Image("WebP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
            return Image("WebP", width, height) if len(data) >= 30 else None
        case _:
            return None


_READERS: dict[bytes, Callable[[bytes], Image | None]] = {
    _PNG: _png,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"\xff\xd8\xff": _jpeg,
    b"RIFF": _webp,
}
