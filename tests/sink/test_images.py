"""Sizes of images, by headers that were made from the formats' specifications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.sink.images import image_in

IMAGES = {
    "PNG": "89504e470d0a1a0a 0000000d 49484452 00000280 000001e0",
    "GIF": "474946383961 8002 e001 f70000",
    "JPEG": "ffd8 ffe0 0010 4a46494600010100000100010000 ffff ffc4 0004 0000 ffc0 0011 08 01e0 0280 03",
    "WebP lossy": "52494646 00000000 57454250 56503820 00000000 300100 9d012a 8002 e001",
    "WebP lossless": "52494646 00000000 57454250 5650384c 00000000 2f 7fc27700",
    "WebP extended": "52494646 00000000 57454250 56503858 0a000000 10000000 7f0200 df0100",
}


@pytest.mark.parametrize("name", IMAGES)
def test_size(name: str) -> None:
    """The format and its 640 by 480 pixels are read from the header; of a shorter one nothing is claimed."""
    data = bytes.fromhex(IMAGES[name])
    image = image_in(data)
    assert image is not None
    assert (image.format, image.width, image.height) == (name.partition(" ")[0], 640, 480)
    assert image_in(data[:9]) is None


@given(
    data=st.binary(max_size=60),
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"RIFF", b"RIFFxxxxWEBPVP8X", b"GIF89a"]),
)
def test_any_bytes(data: bytes, start: bytes) -> None:
    """Bytes that are no image are none; nothing is raised."""
    image_in(start + data)
