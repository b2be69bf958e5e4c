"""The text of JSON (RFC 8259), whole, cut or broken: its tokens where they stand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRING = r'"(?:[^"\\]++|\\.)*+(?:"|\Z|\\\Z)'
"""With its closing quote, or to the end of a text that was cut."""
_STRINGS = re.compile(_STRING, re.DOTALL)
_TOKENS = re.compile(rf'{_STRING}|[\[\]{{}},:]|[^\s"\[\]{{}},:]++', re.DOTALL)
_NESTING = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_COLON = re.compile(r"\s*+:\s*+")


def is_valid(text: str) -> bool:
    """Whether all of it is one JSON text that is not nested too deeply to be read."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True


def tokens(text: str) -> Iterator[str]:
    """Yield strings with their quotes, brackets, commas, colons, and whatever else stands between them."""
    return (match[0] for match in _TOKENS.finditer(text))


def string(text: str, at: int) -> tuple[int, int] | None:
    """Where the next string stands that begins at `at` or later, with its quotes."""
    match = _STRINGS.search(text, at)
    return match.span() if match else None


def value_of_key(text: str, at: int) -> int | None:
    """Where the value begins if a colon follows: then what ended at `at` was a key."""
    colon = _COLON.match(text, at)
    return colon.end() if colon else None


def end_of_value(text: str, start: int) -> int:
    """Index after a string, a number, or all of an object or array; the end where that was cut."""
    if text[start : start + 1] in {"[", "{"}:
        return _end_of_nesting(text, start)
    match = _TOKENS.match(text, start)
    return match.end() if match and match[0] not in {"]", "}", ",", ":"} else start


def _end_of_nesting(text: str, start: int) -> int:
    depth = 0
    for match in _NESTING.finditer(text, start):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth == 0:
            return match.end()
    return len(text)
