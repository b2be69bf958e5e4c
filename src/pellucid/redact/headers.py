"""Credentials in header fields and URLs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pellucid.redact.spans import MASK, Span, masked
from pellucid.redact.text import text_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Headers
    from pellucid.redact.rules import Rules

_SCHEMES = re.compile(
    r"apikey|aws4-hmac-sha256|basic|bearer|concealed|digest|dpop|gnap|hawk|hoba|key|mutual|negotiate|ntlm|oauth|"
    r"privatetoken|scram-sha-1|scram-sha-256|sharedkey|signature|token|vapid",
    re.IGNORECASE,
)
"""IANA's registry of HTTP authentication schemes, and those of large services. Of anything else the first word may be
the credential itself."""

_COOKIE = re.compile(r"(?:^|(?<=;))(\s*)([^=;]*)(=?)[^;]*")

_URLS = frozenset({"referer", "location", "content-location", "origin", ":path"})
"""Headers whose value is a URL."""
_USERINFO = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*+://|//)?([^/?#]*)@")
_PARAMETER = re.compile(r"[?&#;]([^=&?#;]++)=([^&#]++)")

_REMEMBERED = 1024
"""Fields whose answer is kept: programs send the same again and again."""
_MAX_REMEMBERED = 256
"""Characters of such a field."""


def masked_headers(headers: Headers, rules: Rules) -> Headers:
    """Return the fields with their credentials masked; the same list where there are none."""
    hidden = [(name, masked_value(name, value, rules)) for name, value in headers]
    return hidden if hidden != headers else headers


def masked_value(name: str, value: str, rules: Rules) -> str:
    """Mask a field's value by its name, or credentials within it."""
    recall = len(name) + len(value) <= _MAX_REMEMBERED
    return _recall(name, value, rules) if recall else _masked_value(name, value, rules)


def _masked_value(name: str, value: str, rules: Rules) -> str:
    match name.lower():
        case "authorization" | "proxy-authorization":
            return _authorization(value)
        case "cookie":
            return _COOKIE.sub(_cookie, value)
        case "set-cookie":
            pair, semicolon, attributes = value.partition(";")
            return _COOKIE.sub(_cookie, pair) + semicolon + attributes
        case "host" | ":authority":
            return masked_authority(value, rules)
        case other:
            return _other(other, value, rules)


def _other(name: str, value: str, rules: Rules) -> str:
    if value and rules.names.header(name):
        return MASK
    return masked_url(value, rules) if name in _URLS else masked(value, text_spans(value, rules))


_recall = lru_cache(maxsize=_REMEMBERED)(_masked_value)


def masked_url(url: str, rules: Rules) -> str:
    """Mask user and password, and parameters whose names tell. It is a URL as a whole: nothing but `&` and `#` ends a value."""
    by_place = masked(url, _url_spans(url, rules))
    return masked(by_place, text_spans(by_place, rules))


def masked_authority(authority: str, rules: Rules) -> str:
    """Mask user and password before a host, where no scheme stands."""
    _, at, host = authority.rpartition("@")
    return f"{MASK}@{host}" if at else masked_url(authority, rules)


def _url_spans(url: str, rules: Rules) -> Iterator[Span]:
    userinfo = _USERINFO.match(url)
    if userinfo:
        yield Span(*userinfo.span(1))
    for parameter in _PARAMETER.finditer(url):
        if rules.names.parameter(unquote(parameter[1])):
            yield Span(*parameter.span(2))


def _authorization(value: str) -> str:
    scheme, space, credentials = value.strip().partition(" ")
    if _SCHEMES.fullmatch(scheme) and credentials:
        return f"{scheme}{space}{MASK}"
    return MASK if value else value


def _cookie(match: re.Match[str]) -> str:
    """The name stays; a cookie without `=` is all value (RFC 6265 section 5.2)."""
    space, name, equals = match.groups()
    if not equals:
        return f"{space}{MASK}" if name.strip() else match[0]
    return f"{space}{name}={MASK}"
