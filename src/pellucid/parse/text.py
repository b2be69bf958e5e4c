"""Bytes as a person reads them: the rule for bodies, raw data and header fields."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from pellucid.model import Text


def readable(data: bytes, *, cut: bool = False) -> tuple[Text, str | UnsetType]:
    """Return text and no encoding where `data` is UTF-8, else the bytes and "base64" (done by the sink).

    Where `data` was `cut`, a last character of which only the beginning is there is left out.
    """
    try:
        text, _ = codecs.utf_8_decode(data, "strict", not cut)
    except UnicodeDecodeError:
        return data, "base64"
    return text, UNSET


def field_text(data: bytes) -> str:
    """Read part of a header: UTF-8 as programs send it today, else ISO 8859-1 (RFC 9110 section 5.5)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("iso-8859-1")
