"""Credentials in JSON, whole or cut: values are replaced where they stand, all else stays as it was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pellucid.json_text import end_of_value, string, value_of_key
from pellucid.redact.spans import MASK, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pellucid.redact.rules import Rules

_MASK = f'"{MASK}"'


def json_spans(text: str, rules: Rules, inner: Callable[[str], str]) -> Iterator[Span]:
    """Find the values of keys that name a credential, whatever they are, and string values that hold one.

    `inner` masks the text of a string. A null is no credential, and says that there is none. What stands in
    place of a value is a string: JSON stays JSON.
    """
    at = 0
    while found := string(text, at):
        start, at = found
        value = value_of_key(text, at)
        if value is None:
            yield from _string(text, start, at, inner)
        elif rules.names.key(_unescaped(text[start:at])):
            at = end_of_value(text, value)
            if text[value:at] not in {"null", ""}:
                yield Span(value, at, _MASK)


def _string(text: str, start: int, end: int, inner: Callable[[str], str]) -> Iterator[Span]:
    shown = _unescaped(text[start:end])
    hidden = inner(shown)
    if hidden != shown:
        yield Span(start, end, json.dumps(hidden, ensure_ascii=False))


def _unescaped(quoted: str) -> str:
    """What a string stands for; it may have been cut, then without its closing quote."""
    text = quoted[1:].removesuffix('"')
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:  # cut in the middle of an escape, or no JSON: it is looked at as it is
        return text
