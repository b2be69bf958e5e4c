"""The parts of a URL's query and of a form, as HAR lists them."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import UNSET

from pellucid.media import DEFAULT_TYPE, MAX_PARTS, essence, pairs, parameter, parts
from pellucid.sink.har_model import Named, Param

if TYPE_CHECKING:
    from msgspec import UnsetType

    from pellucid.media import Part
    from pellucid.model import Text

_RESERVED = "!#$%&'()*+,/:;=?@[]~"
"""What RFC 3986 lets stand in a URL, beside letters, digits and `-._`; the sign of an escape among them."""
_PLAIN_URL = re.compile(r"[A-Za-z0-9\-._!#$%&'()*+,/:;=?@\[\]~]*")
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


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
    """The parameters of a query, percent-encoding undone: at most MAX_PARTS."""
    _, _, query = target.partition("?")
    return [Named(pair.name, pair.value) for pair in islice(pairs(query.partition("#")[0]), MAX_PARTS)]


def params_of(media: str, body: Text) -> list[Param] | UnsetType:
    """The fields of a form, at most MAX_PARTS, as far as its body is there; unset where the media type is not a form's."""
    if essence(media) == _FORM and isinstance(body, str):
        return [Param(name=pair.name, value=pair.value) for pair in islice(pairs(body), MAX_PARTS)]
    if essence(media) != _MULTIPART or not parameter(media, "boundary"):
        return UNSET
    octets = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    # What goes to the end of the body is no part, but one that was cut, or all that are too many.
    return [
        _param(part, octets[part.start : part.end]) for part in parts(octets, media) if part.end < len(octets)
    ]


def _param(part: Part, content: bytes) -> Param:
    value, encoding = _text(content)
    return Param(
        name=part.name or "",
        value=value,
        file_name=UNSET if part.filename is None else part.filename,
        content_type=UNSET if part.type == DEFAULT_TYPE else part.type,
        encoding=encoding,
    )


def _text(content: bytes) -> tuple[Text, str | UnsetType]:
    try:
        return content.decode(), UNSET
    except UnicodeDecodeError:
        return content, "base64"
