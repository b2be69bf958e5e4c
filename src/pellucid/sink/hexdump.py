"""The layout of `hexdump -C`: offset, two groups of eight pairs, ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = 16
"""Bytes of a line."""

_ASCII = bytes(byte if 0x20 <= byte < 0x7F else ord(".") for byte in range(256))


def hexdump(data: bytes, base: int = 0) -> Iterator[str]:
    """Yield a line for every 16 bytes, the first numbered `base`; repeated lines are not folded."""
    for start in range(0, len(data), ROW):
        row = data[start : start + ROW]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        yield f"{base + start:08x}  {left:23}  {right:23}  |{row.translate(_ASCII).decode('ascii')}|"
