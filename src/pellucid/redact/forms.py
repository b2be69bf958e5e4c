"""Credentials in forms, urlencoded or multipart: a field is masked by its name, or for what its value holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

from pellucid.media import parts
from pellucid.redact.spans import MASK, Span, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pellucid.model import Text
    from pellucid.redact.rules import Rules

_FIELD = re.compile(r"([^=&]*)=([^&]*)")


def form_spans(text: str, rules: Rules, inner: Callable[[str], str]) -> Iterator[Span]:
    """Find fields of `application/x-www-form-urlencoded` (WHATWG URL section 5); `inner` masks a value's text."""
    for match in _FIELD.finditer(text):
        if not match[2]:
            continue
        if rules.names.parameter(unquote_plus(match[1]).strip()):
            yield Span(*match.span(2))
            continue
        shown = unquote_plus(match[2])
        hidden = inner(shown)
        if hidden != shown:
            yield Span(*match.span(2), quote_plus(hidden, safe="*"))


def masked_multipart(
    body: bytes, content_type: str, rules: Rules, inner: Callable[[Text, str], Text]
) -> bytes | None:
    """Mask the parts of a multipart body; `inner` masks a part's content, given its type. None where there are none."""
    pieces, at = [], 0
    for part in parts(body, content_type):
        content = body[part.start : part.end]
        pieces += [body[at : part.start], _content(content, part.type, part.name, rules, inner)]
        at = part.end
    return b"".join([*pieces, body[at:]]) if pieces else None


def _content(
    content: bytes, media: str, name: str | None, rules: Rules, inner: Callable[[Text, str], Text]
) -> bytes:
    if content and name is not None and rules.names.parameter(name):
        return MASK.encode()
    try:
        shown: Text = content.decode()
    except UnicodeDecodeError:
        shown = content
    hidden = inner(shown, media)
    return hidden if isinstance(hidden, bytes) else hidden.encode("utf-8", "surrogatepass")


def masked_form(text: str, rules: Rules, inner: Callable[[str], str]) -> str:
    """Return an urlencoded form with its credentials masked."""
    return masked(text, form_spans(text, rules, inner))
