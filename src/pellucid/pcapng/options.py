"""Options of pcapng's blocks (draft-ietf-opsawg-pcapng-03 section 3.5): code u16, length u16, value padded to 4 bytes."""

from __future__ import annotations

import struct
from typing import NamedTuple

MOST_TEXT = 0xFFFF
"""Bytes that a value may have."""

_HEAD = struct.Struct("<HH")
_END = _HEAD.pack(0, 0)


class Option(NamedTuple):
    """One of them; without a value it is left out."""

    code: int
    value: bytes


def text(code: int, value: str) -> Option:
    """UTF-8; what is too long, or no Unicode, is cut or replaced."""
    encoded = value.encode(errors="replace")
    if len(encoded) > MOST_TEXT:
        encoded = encoded[:MOST_TEXT].decode(errors="ignore").encode()
    return Option(code, encoded)


def number(code: int, value: int | None, form: str) -> Option:
    """A number in a form of `struct`; None where it is not known."""
    return Option(code, b"" if value is None else struct.pack(form, value))


def time(code: int, nanoseconds: int | None) -> Option:
    """A time as blocks have it, upper half first; None where it is not known."""
    if nanoseconds is None:
        return Option(code, b"")
    return Option(code, struct.pack("<II", nanoseconds >> 32, nanoseconds & 0xFFFFFFFF))


def options(*given: Option) -> bytes:
    """All that have a value, and the end of them; nothing where none has."""
    present = [option for option in given if option.value]
    if not present:
        return b""
    packed = [_HEAD.pack(code, len(value)) + value + bytes(-len(value) % 4) for code, value in present]
    return b"".join((*packed, _END))
