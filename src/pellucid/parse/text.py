"""Bytes as a person reads them: the rule for bodies, raw data and header fields."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from pellucid.parse.bodies.charset import declared

if TYPE_CHECKING:
    from pellucid.model import Text


def readable(
    data: bytes, *, cut: bool = False, content_type: str | None = None
) -> tuple[Text, str | UnsetType]:
    """Return text and no encoding where `data` is text, else the bytes and "base64" (done by the sink).

    Text is what is in the charset that `content_type` declares, or in UTF-8.
    Where `data` was `cut`, a last character of which only the beginning is there is left out.
    """
    if content_type is not None and (known := declared(data, content_type, cut=cut)) is not None:
        return known, UNSET
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
