"""The parts of a URL's query and of a form, as HAR lists them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

from msgspec import UNSET

from pellucid.sink.har_model import Named, Param

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import UnsetType

    from pellucid.model import Text

_RESERVED = "!#$%&'()*+,/:;=?@[]~"
"""What RFC 3986 lets stand in a URL, beside letters, digits and `-._`; the sign of an escape among them."""
_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._!#$%&'()*+,/:;=?@\[\]~]*")
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_BOUNDARY = re.compile(
    r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)  # RFC 2046 section 5.1.1
_PARAMETER = re.compile(r'[;\s](name|filename)="([^"]*)"', re.IGNORECASE)  # RFC 7578 section 4.2


def url_of(target: str, authority: str, scheme: str) -> str:
    """The absolute URL of a request target (RFC 9112 section 3.3), what no URL may hold percent-encoded."""
    if target.startswith("/"):
        url = f"{scheme}://{authority}{target}"
    elif "://" in target:
        url = target
    else:  # `*` of OPTIONS, `host:port` of CONNECT: they have no path
        url = f"{scheme}://{authority}/"
    return url if _PLAIN_URL.fullmatch(url) else quote(url, safe=_RESERVED, errors="replace")


def query_of(target: str) -> list[Named]:
    """The parameters of a query, percent-encoding undone."""
    _, question, query = target.partition("?")
    return [Named(*pair) for pair in _pairs(query.partition("#")[0])] if question else []


def params_of(media: str, body: Text) -> list[Param] | UnsetType:
    """The fields of a form, as far as its body is there; unset where the media type is not a form's."""
    essence = media.partition(";")[0].strip().lower()
    if essence == _FORM and isinstance(body, str):
        return [Param(name=name, value=value) for name, value in _pairs(body)]
    boundary = _BOUNDARY.search(media) if essence == _MULTIPART else None
    if not boundary:
        return UNSET
    octets = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return list(_parts(octets, (boundary[1] or boundary[2]).encode()))


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if piece:
            yield unquote_plus(name), unquote_plus(value)


def _parts(body: bytes, boundary: bytes) -> Iterator[Param]:
    """Those that a further boundary ends; a part whose end is cut off is left out (RFC 2046 section 5.1.1)."""
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        yield _part(head.decode("utf-8", "replace"), content)


def _part(head: str, content: bytes) -> Param:
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n"))
    }
    names = {key.lower(): text for key, text in _PARAMETER.findall(fields.get("content-disposition", ""))}
    value, encoding = _text(content)
    return Param(
        name=names.get("name", ""),
        value=value,
        file_name=names.get("filename", UNSET),
        content_type=fields.get("content-type", UNSET),
        encoding=encoding,
    )


def _text(content: bytes) -> tuple[Text, str | UnsetType]:
    try:
        return content.decode(), UNSET
    except UnicodeDecodeError:
        return content, "base64"
