"""JSON laid out for reading: the tokens as they were sent, each in its place and colour.

Nothing is parsed and written anew, so numbers keep their digits, keys that appear twice stay two, and what was cut is shown
as far as it goes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pellucid.escape import escape
from pellucid.media import essence, is_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.sink.style import Paint

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")
_INDENT = "  "
_MAX_DEPTH = 40
"""Levels that are indented; deeper ones stay there, so that a line does not grow without end."""


def looks_like_json(text: str, media: str | None) -> bool:
    """Whether `text` is an object or an array, by what its sender says of it or by every character."""
    if text.lstrip()[:1] not in {"{", "["}:
        return False
    return is_json(essence(media)) or _valid(text)


def _valid(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True


def json_lines(text: str, paint: Paint) -> Iterator[str]:
    """Yield the lines of one or more JSON texts, two spaces a level."""
    line, depth, before = "", 0, ""
    pieces = _TOKEN.findall(text)
    for piece, after in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece in _CLOSING:
            depth = max(depth - 1, 0)
        if _breaks(before, piece, depth):
            yield line
            line = _INDENT * min(depth, _MAX_DEPTH)
        line += ": " if piece == ":" else _painted(piece, after, paint)
        depth += piece in _OPENING
        before = piece
    yield line


def _breaks(before: str, piece: str, depth: int) -> bool:
    """Whether a line begins between two tokens; not within an empty array or object."""
    if not before or piece in {",", ":"} or before == ":":
        return False
    if piece in _CLOSING:
        return before not in _OPENING
    return before == "," or before in _OPENING or depth == 0  # at depth 0 the next of several texts begins


def _painted(piece: str, after: str, paint: Paint) -> str:
    if piece in _OPENING or piece in _CLOSING or piece == ",":
        return piece
    shown = escape(piece)
    if piece[0] != '"':
        return paint("number", shown)
    return paint("name" if after == ":" else "text", shown)
