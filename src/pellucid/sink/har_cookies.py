"""Cookies as HAR lists them (RFC 6265)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.sink.har_model import Cookie

if TYPE_CHECKING:
    from msgspec import UnsetType

    from pellucid.model import Headers


def sent_cookies(headers: Headers) -> list[Cookie]:
    """Those of a request; HTTP/2 may spread them over several fields (RFC 9113 section 8.2.3)."""
    return [
        Cookie(name=name, value=value)
        for field, line in headers
        if field.lower() == "cookie"
        for name, value in _pairs(line)
    ]


def set_cookies(headers: Headers) -> list[Cookie]:
    """Those that a response sets, one a field."""
    return [_set_cookie(line) for field, line in headers if field.lower() == "set-cookie"]


def _set_cookie(line: str) -> Cookie:
    """Read a field with its attributes (section 5.2); those that are not known are passed over."""
    (name, value), *attributes = _pairs(line) or [("", "")]
    cookie = Cookie(name=name, value=value, http_only=False, secure=False)
    for attribute, text in attributes:
        match attribute.lower():
            case "path":
                cookie.path = text
            case "domain":
                cookie.domain = text
            case "expires":
                cookie.expires = _date(text)
            case "httponly":
                cookie.http_only = True
            case "secure":
                cookie.secure = True
            case "samesite":
                cookie.same_site = text
    return cookie


def _pairs(line: str) -> list[tuple[str, str]]:
    pieces = (piece.partition("=") for piece in line.split(";") if piece.strip())
    return [(name.strip(), value.strip()) for name, _, value in pieces]


def _date(text: str) -> str | UnsetType:
    """A cookie's date in RFC 3339; unset where it is none (section 5.2.1).

    It is UTC whatever offset follows: for a cookie that is no part of the date (section 5.1.1, of browsers too).
    """
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return UNSET
    return date.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
