"""Credentials in JSON, whole or cut: values are replaced where they stand, all else stays as it was sent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pellucid.redact.spans import MASK, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pellucid.redact.rules import Rules

_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)("|\Z|\\\Z)', re.DOTALL)
"""With its closing quote, or to the end of a text that was cut."""
_COLON = re.compile(r"\s*:\s*")
_SCALAR = re.compile(r"[^\s,\[\]{}\"]+")
_NESTING = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_MASK = f'"{MASK}"'


def json_spans(text: str, rules: Rules, inner: Callable[[str], str]) -> Iterator[Span]:
    """Find the values of keys that name a credential, whatever they are, and string values that hold one.

    `inner` masks the text of a string. A null is no credential, and says that there is none. What stands in
    place of a value is a string: JSON stays JSON.
    """
    at = 0
    while match := _STRING.search(text, at):
        at = match.end()
        colon = _COLON.match(text, at)
        if colon is None:
            yield from _string(match, inner)
        elif rules.names.key(_unescaped(match[1])):
            span = _value(text, colon.end())
            at = span.end
            if text[span.start : span.end] not in {"null", ""}:
                yield span


def _value(text: str, start: int) -> Span:
    """A string, a number, or all of an object or array; to the end where that was cut."""
    first = text[start : start + 1]
    if first == '"':
        match = _STRING.match(text, start)
        assert match is not None  # it begins with a quote
        return Span(start, match.end(), _MASK)
    if first and first in "[{":
        return Span(start, _end_of_nesting(text, start), _MASK)
    scalar = _SCALAR.match(text, start)
    return Span(start, scalar.end() if scalar else start, _MASK)


def _end_of_nesting(text: str, start: int) -> int:
    depth = 0
    for match in _NESTING.finditer(text, start):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth == 0:
            return match.end()
    return len(text)


def _string(match: re.Match[str], inner: Callable[[str], str]) -> Iterator[Span]:
    shown = _unescaped(match[1])
    hidden = inner(shown)
    if hidden != shown:
        yield Span(match.start(), match.end(), json.dumps(hidden, ensure_ascii=False))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:  # cut in the middle of an escape, or no JSON: it is looked at as it is
        return text
