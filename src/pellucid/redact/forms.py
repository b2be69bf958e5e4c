"""Credentials in forms, urlencoded or multipart: a field is masked by its name, or for what its value holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

from pellucid.media import MAX_PARTS, parts
from pellucid.redact.spans import MASK, Span, masked
from pellucid.redact.text import text_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pellucid.model import Text
    from pellucid.redact.rules import Rules

_MASK = MASK.encode()

_AMBIGUOUS = re.compile(rb"[;\s]name\*|content-disposition:.*content-disposition:", re.DOTALL | re.IGNORECASE)
"""A name in pieces or a charset of its own (RFC 7578 section 4.2 forbids both), or two names."""

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
    for number, part in enumerate(parts(body, content_type), 1):
        head, content = body[at : part.start], body[part.start : part.end]
        readable = _is_readable(head) and number <= MAX_PARTS
        hidden = _content(content, part.type, part.name, rules, inner) if readable else _MASK
        pieces += [_head(head, rules), hidden if content else content]
        at = part.end
    return b"".join([*pieces, _head(body[at:], rules)]) if pieces else None


def _is_readable(head: bytes) -> bool:
    """Whether the empty line was reached that ends it: a line before it may be no field, or be folded."""
    return head.endswith((b"\n\r\n", b"\n\n")) and _AMBIGUOUS.search(head) is None


def _content(
    content: bytes, media: str, name: str | None, rules: Rules, inner: Callable[[Text, str], Text]
) -> bytes:
    if name is not None and rules.names.parameter(name):
        return _MASK
    try:
        shown: Text = content.decode()
    except UnicodeDecodeError:
        shown = content
    hidden = inner(shown, media)
    return hidden if isinstance(hidden, bytes) else hidden.encode("utf-8", "surrogatepass")


def _head(between: bytes, rules: Rules) -> bytes:
    """What is between the contents of two parts; before the first and behind the last one it may be any text."""
    view = between.decode("iso-8859-1")
    return masked(view, text_spans(view, rules)).encode("iso-8859-1")


def masked_form(text: str, rules: Rules, inner: Callable[[str], str]) -> str:
    """Return an urlencoded form with its credentials masked."""
    return masked(text, form_spans(text, rules, inner))
