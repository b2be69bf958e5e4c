"""JSON laid out for reading: the tokens as they were sent, each in its place and colour.

Nothing is parsed and written anew, so numbers keep their digits, keys that appear twice stay two, and what was cut is shown
as far as it goes.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING

from pellucid.escape import escape
from pellucid.json_text import is_valid, tokens
from pellucid.media import essence, is_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.sink.style import Paint

_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")
_INDENT = "  "
_FLAT = 60
"""Columns of an array or object that stays on one line: a message of a stream is often no more."""
_MAX_DEPTH = 20
"""Levels that are indented. What is nested deeper is shown as sent: a line of each bracket alone would be half indentation."""
_MAX_CHARACTERS = 64 << 10
"""Of a text that is laid out, some 2,000 lines; what is longer nobody reads on a terminal, and it is shown as sent."""


def looks_like_json(text: str, media: str | None) -> bool:
    """Whether `text` is an object or an array that is worth laying out, by what its sender says of it or by every character."""
    if len(text) > _MAX_CHARACTERS or text.lstrip()[:1] not in _OPENING:
        return False
    return (is_json(essence(media)) or is_valid(text)) and _depth(text) <= _MAX_DEPTH


def _depth(text: str) -> int:
    """The most brackets that are open at once."""
    steps = ((token in _OPENING) - (token in _CLOSING) for token in tokens(text))
    return max(accumulate(steps))


def json_lines(text: str, paint: Paint) -> Iterator[str]:
    """Yield the lines of one or more JSON texts, two spaces a level; what is short and flat stays on one line."""
    line, depth, before = "", 0, ""
    for unit, after in pairwise(chain(_units([*tokens(text)]), [[""]])):
        first = unit[0]
        closing = len(unit) == 1 and first in _CLOSING
        if closing:
            depth = max(depth - 1, 0)
        if before and _breaks(before, first, depth, closing=closing):
            yield line
            line = _INDENT * depth
        line += _painted(unit, after[0], paint)
        depth += len(unit) == 1 and first in _OPENING
        before = unit[-1] if len(unit) == 1 else "flat"
    yield line


def _breaks(before: str, first: str, depth: int, *, closing: bool) -> bool:
    """Whether a line begins between two units."""
    if closing:
        return True
    if first in {",", ":"} or before == ":":
        return False
    return before == "," or before in _OPENING or depth == 0  # at depth 0 the next of several texts begins


def _units(pieces: list[str]) -> Iterator[list[str]]:
    """Yield each token by itself, but a short array or object without another one inside as one."""
    at = 0
    while at < len(pieces):
        end = _end_of_flat(pieces, at) if pieces[at] in _OPENING else at + 1
        yield pieces[at:end]
        at = end


def _end_of_flat(pieces: list[str], start: int) -> int:
    """Index after the closing bracket, or after the opening one where it is not short and flat."""
    columns = 0
    for at in range(start + 1, len(pieces)):
        piece = pieces[at]
        if piece in _CLOSING:
            return at + 1
        columns += len(piece) + (piece in {",", ":"})
        if piece in _OPENING or columns > _FLAT:
            break
    return start + 1


def _painted(unit: list[str], after: str, paint: Paint) -> str:
    if unit == [","]:
        return ","
    pieces = zip(unit, [*unit[1:], after], strict=True)
    return "".join(_token(piece, follows, paint) for piece, follows in pieces)


def _token(piece: str, after: str, paint: Paint) -> str:
    if piece in _OPENING or piece in _CLOSING:
        return piece
    if piece in {",", ":"}:
        return f"{piece} "
    shown = escape(piece)
    if piece[0] != '"':
        return paint("number", shown)
    return paint("name" if after == ":" else "text", shown)
