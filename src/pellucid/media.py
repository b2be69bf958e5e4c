"""What a Content-Type says (RFC 9110 section 8.3), the parts of a multipart body (RFC 2046 section 5.1), the fields of a form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PARTS = 1000
"""Of one body that are told apart; the rest is one part more. A form has tens."""

DEFAULT_TYPE = "text/plain"
"""Of a part that tells none (RFC 2046 section 5.1)."""

_PIECE = re.compile(r"[^&]+")
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")


class Part(NamedTuple):
    """One part of a multipart body."""

    name: str | None
    """Of the form's field (RFC 7578 section 4.2)."""
    filename: str | None
    type: str
    """Its Content-Type, DEFAULT_TYPE where it has none."""
    start: int
    """Where its content begins in the body, in bytes."""
    end: int
    """Where it ends: before the line end that belongs to the boundary, or with the body where that was cut."""


class Pair(NamedTuple):
    """One field of an urlencoded form, or of a query."""

    name: str
    value: str
    """Both with their encoding undone."""
    start: int
    """Where the value begins in the text, encoded as it is."""
    end: int


def essence(content_type: str | None) -> str:
    """Return `type/subtype` in lower case, without parameters; empty where there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def parameter(header: str, name: str) -> str | None:
    """Return a parameter of a header such as Content-Type; names have no case, quotes are undone."""
    for found, quoted, plain in _PARAMETER.findall(header):
        if found.lower() == name:
            return re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return None


def is_json(media: str) -> bool:
    """Whether a media type's bytes are JSON (RFC 6839 section 3.1 for the suffix)."""
    return media.endswith(("/json", "+json"))


def pairs(text: str) -> Iterator[Pair]:
    """Yield the fields of `application/x-www-form-urlencoded` (WHATWG URL section 5.1), one at a time: there may be many."""
    for match in _PIECE.finditer(text):
        name, _, value = match[0].partition("=")
        yield Pair(unquote_plus(name), unquote_plus(value), match.end() - len(value), match.end())


def parts(body: bytes, content_type: str) -> Iterator[Part]:
    """Yield the parts of a multipart body, also of one that was cut; none where no boundary is named or found."""
    boundary = parameter(content_type, "boundary")
    if not boundary:
        return
    line = b"--" + boundary.encode("utf-8", "surrogatepass")
    delimiter = re.compile(rb"(?:\A|\r?\n)" + re.escape(line) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    before = None
    for number, match in enumerate(delimiter.finditer(body)):
        if before is not None:
            yield _part(body, before.end(), match.start())
        # A line end may belong to two delimiters, when the part between them is empty: then it is in no part.
        before = None if match[1] else match
        if number == MAX_PARTS:
            break
    if before is not None and before.end() < len(body):
        yield _part(body, before.end(), len(body))


def _part(body: bytes, start: int, end: int) -> Part:
    """Read the fields at the head of a part."""
    disposition, type_ = "", DEFAULT_TYPE
    while start < end and (field := _FIELD.match(body, start, end)):
        value = field[2].decode("utf-8", "replace")
        if field[1].lower() == b"content-disposition":
            disposition = value
        elif field[1].lower() == b"content-type":
            type_ = value
        start = _next_line(body, field.end(), end)
    empty_line = re.compile(rb"\r?\n").match(body, start, end)
    start = empty_line.end() if empty_line else start
    return Part(parameter(disposition, "name"), parameter(disposition, "filename"), type_, start, end)


def _next_line(body: bytes, at: int, end: int) -> int:
    found = body.find(b"\n", at, end)
    return end if found < 0 else found + 1
