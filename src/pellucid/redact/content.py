"""Payloads, texts and values: each masked by what it is, so that its structure stays."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Struct

from pellucid.json_text import is_valid
from pellucid.media import essence, is_json
from pellucid.redact.forms import masked_form, masked_multipart
from pellucid.redact.headers import masked_authority, masked_headers, masked_url
from pellucid.redact.json import json_spans
from pellucid.redact.spans import MASK, masked
from pellucid.redact.text import text_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Headers, Text
    from pellucid.redact.rules import Rules

_MAX_NESTED = 4
"""Forms, multipart bodies and JSON within each other are read as such so many times over; deeper down it is text, and
a multipart body is masked."""

S = TypeVar("S", bound=Struct)


class Content:
    """Masks what messages are made of; what holds no credential comes back as it is."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def url(self, url: str) -> str:
        """Mask user and password, and parameters by their names."""
        return masked_url(url, self._rules)

    def authority(self, authority: str) -> str:
        """Mask user and password before a host."""
        return masked_authority(authority, self._rules)

    def headers(self, headers: Headers) -> Headers:
        """Mask header or trailer fields."""
        return masked_headers(headers, self._rules)

    def body(self, body: Text, media: str = "", nested: int = 0) -> Text:
        """Mask a payload, by its media type where that is known."""
        kind = essence(media)
        if kind.startswith("multipart/"):
            if nested == _MAX_NESTED:
                return MASK
            parts = self._multipart(body, media, nested)
            if parts is not None:
                return parts
        if isinstance(body, bytes):
            view = body.decode("iso-8859-1")
            hidden = self._of_kind(view, kind, nested)
            # What is beyond that charset has come from an escape in JSON, and becomes one again.
            return body if hidden == view else hidden.encode("iso-8859-1", "backslashreplace")
        return self._of_kind(body, kind, nested)

    def _of_kind(self, text: str, kind: str, nested: int) -> str:
        if kind == "application/x-www-form-urlencoded":
            return masked_form(text, self._rules, self._inner(nested))
        if is_json(kind) or text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
            return self._json(text, nested)
        return self.text(text)

    def text(self, text: str) -> str:
        """Mask credentials in text of any kind."""
        return masked(text, text_spans(text, self._rules)) if text else text

    def _inner(self, nested: int) -> Callable[[str], str]:
        """What masks a text within another."""
        if nested >= _MAX_NESTED:
            return self.text
        return lambda text: str(self.body(text, nested=nested + 1))

    def _multipart(self, body: Text, media: str, nested: int) -> Text | None:
        octets = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        parts = masked_multipart(octets, media, self._rules, lambda part, of: self.body(part, of, nested + 1))
        if parts is None or isinstance(body, bytes):
            return parts
        return parts.decode("utf-8", "surrogatepass")

    def _json(self, text: str, nested: int) -> str:
        """JSON stays JSON; what only looks like it, or was cut, is searched as text besides."""
        spans = list(json_spans(text, self._rules, self._inner(nested)))
        if not is_valid(text):
            spans += text_spans(text, self._rules)
        return masked(text, spans)

    def value(self, value: Any) -> Any:
        """Mask within what JSON can hold; the same object where there is nothing to mask."""
        match value:
            case str() | bytes():
                return self.body(value)
            case {"base64": str() as text} if len(value) == 1:
                return self._base64(value, text)
            case dict():
                hidden = {name: self._member(name, item) for name, item in value.items()}
                return hidden if hidden != value else value
            case list() | tuple():
                items = type(value)(self.value(item) for item in value)
                return items if items != value else value
            case Struct():
                return self.anything(value)
            case _:
                return value

    def anything(self, message: S) -> S:
        """A message that only a plug-in knows: by the names of its fields, and what these hold."""
        changes = {}
        for name in message.__struct_fields__:
            shown = getattr(message, name)
            hidden = MASK if isinstance(shown, str) and self._rules.names.key(name) else self.value(shown)
            if hidden is not shown:
                changes[name] = hidden
        return msgspec.structs.replace(message, **changes) if changes else message

    def _member(self, name: Any, value: Any) -> Any:
        if value is not None and isinstance(name, str) and self._rules.names.key(name):
            return MASK
        return self.value(value)

    def _base64(self, value: dict[str, str], text: str) -> dict[str, str]:
        try:
            shown = base64.b64decode(text, validate=True)
        except binascii.Error:
            return {"base64": self.text(text)}
        hidden = self.value(shown)
        return value if hidden == shown else {"base64": base64.b64encode(hidden).decode()}
