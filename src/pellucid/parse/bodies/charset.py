"""Text in the charset that its sender has declared (RFC 9110 section 8.3.2)."""

from __future__ import annotations

import codecs
from functools import lru_cache

from pellucid.media import essence, parameter

_LABELS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
}
"""Labels that are read as a larger charset, as browsers do (WHATWG Encoding Standard section 4.2): senders that say
ISO-8859-1 mean windows-1252."""

_CHARSETS = frozenset(
    [
        "big5",
        "big5hkscs",
        "euc_jp",
        "gb18030",
        "iso2022_jp",
        "koi8-r",
        "koi8-u",
        "mac-cyrillic",
        "mac-roman",
        "cp866",
        "cp874",
        "cp932",
        "cp949",
        "utf-16",
        "utf-16-be",
        "utf-16-le",
        "utf-32",
        "utf-32-be",
        "utf-32-le",
    ]
    + [f"cp125{number}" for number in range(9)]
    + [f"iso8859-{number}" for number in range(1, 17)]
)
"""Python's names of those that a body may be in. Its other codecs are no charsets (`rot13`, `zlib`), or none of the
Web's (`utf-7`, `unicode_escape`). UTF-8 is not here: it is tried where nothing else is declared."""

_TEXTUAL = ("/json", "/xml", "/javascript", "/ecmascript", "/x-www-form-urlencoded", "+json", "+xml", "+text")
"""Ends of media types besides `text/*` whose bytes are text. Of an image a charset says nothing."""

_MAX_HEADER = 256
"""Characters of a Content-Type that are looked at; 60 are many. It bounds what is remembered, too."""


def declared(data: bytes, content_type: str | None, *, cut: bool) -> str | None:
    """Return `data` as text where the Content-Type declares a charset other than UTF-8 and the bytes are in it.

    Where `data` was `cut`, a last character of which only the beginning is there is left out.
    """
    if content_type is None or len(content_type) > _MAX_HEADER:
        return None
    codec = _codec(content_type)
    if codec is None:
        return None
    try:
        return codecs.getincrementaldecoder(codec)("strict").decode(data, not cut)
    except UnicodeError:  # not only UnicodeDecodeError: UTF-16 that does not say its byte order
        return None


@lru_cache(maxsize=64)
def _codec(content_type: str) -> str | None:
    """Name the codec for what a Content-Type declares; None for UTF-8, for none and for unknown ones."""
    media = essence(content_type)
    if not media.startswith("text/") and not media.endswith(_TEXTUAL):
        return None
    label = (parameter(content_type, "charset") or "utf-8").strip().lower()
    try:
        name = codecs.lookup(_LABELS.get(label, label)).name
    except (LookupError, ValueError):  # ValueError for a NUL in the name
        return None
    return name if name in _CHARSETS else None
