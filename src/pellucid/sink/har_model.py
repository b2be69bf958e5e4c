"""The objects of HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as far as Pellucid fills them in.

Names that begin with an underscore are additions, which the format allows: Chromium's where it has one
(devtools-frontend, front_end/models/har/Log.ts), else Pellucid's own. All times are milliseconds.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from pellucid.model import Headers, Text


class Named(Struct, frozen=True):
    """A header field or a parameter of a query."""

    name: str
    value: str


class Cookie(Struct, kw_only=True, rename="camel"):
    """One cookie, of a Cookie or Set-Cookie field (RFC 6265)."""

    name: str
    value: str
    path: str | UnsetType = UNSET
    domain: str | UnsetType = UNSET
    expires: str | UnsetType = UNSET
    """RFC 3339."""
    http_only: bool | UnsetType = UNSET
    secure: bool | UnsetType = UNSET
    same_site: str | UnsetType = UNSET
    """As Chromium writes it, though the format has no such field."""


class Param(Struct, kw_only=True, rename="camel"):
    """One field of a form."""

    name: str
    value: Text
    file_name: str | UnsetType = UNSET
    content_type: str | UnsetType = UNSET
    encoding: str | UnsetType = field(default=UNSET, name="_encoding")
    """`base64` where the value is not UTF-8."""


class PostData(Struct, kw_only=True, rename="camel"):
    """The body of a request."""

    mime_type: str
    text: Text
    params: list[Param] | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    encoding: str | UnsetType = field(default=UNSET, name="_encoding")
    """`base64` where the bytes are not UTF-8: the format has no field for that, unlike in `Content`."""


class Content(Struct, kw_only=True, rename="camel"):
    """The body of a response."""

    size: int
    """Bytes, content codings undone."""
    compression: int | UnsetType = UNSET
    """How many of them a content coding has saved."""
    mime_type: str
    text: Text | UnsetType = UNSET
    encoding: str | UnsetType = UNSET


class Half(Struct, kw_only=True, rename="camel"):
    """What request and response share."""

    http_version: str
    cookies: list[Cookie]
    headers: list[Named]
    headers_size: int = -1
    """Always unknown: HTTP/2 compresses them."""
    body_size: int
    """As sent, without chunked framing."""
    trailers: Headers | UnsetType = field(default=UNSET, name="_trailers")
    sha256: str | UnsetType = field(default=UNSET, name="_sha256")
    """Of all `body_size` bytes; present where the text does not hold them all."""
    partial: bool | UnsetType = field(default=UNSET, name="_partial")


class Request(Half, kw_only=True):
    """The request; with an empty method where it was not seen."""

    method: str
    url: str
    query_string: list[Named]
    post_data: PostData | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class Response(Half, kw_only=True):
    """The response; with status 0 where there was none, as in Chromium."""

    status: int
    status_text: str
    content: Content
    redirect_url: str = field(name="redirectURL")
    transfer_size: int = field(name="_transferSize")
    """Chromium's size column: here the body alone."""
    error: str | UnsetType = field(default=UNSET, name="_error")
    grpc_status: int | UnsetType = field(default=UNSET, name="_grpc_status")
    grpc_message: str | UnsetType = field(default=UNSET, name="_grpc_message")


class Timings(Struct, kw_only=True):
    """The phases that are seen; the others (DNS, connect ...) precede what a TLS library sees."""

    blocked: float = -1
    dns: float = -1
    connect: float = -1
    send: float = 0
    wait: float = 0
    receive: float = 0
    ssl: float = -1


class Cache(Struct):
    """Nothing is known of caches."""


class Entry(Struct, kw_only=True, rename="camel"):
    """One exchange."""

    started_date_time: str
    time: float
    request: Request
    response: Response
    cache: Cache
    timings: Timings
    server_ip_address: str | UnsetType = field(default=UNSET, name="serverIPAddress")
    connection: str
    comment: str | UnsetType = UNSET
    resource_type: str | UnsetType = field(default=UNSET, name="_resourceType")
    stream: int | UnsetType = field(default=UNSET, name="_stream")
    pushed: bool | UnsetType = field(default=UNSET, name="_pushed")
    truncated: bool | UnsetType = field(default=UNSET, name="_truncated")
    role: str | None = field(name="_role")
    process: str = field(name="_process")
    pid: int = field(name="_pid")
    executable: str | None = field(name="_executable")
    container: str | UnsetType = field(default=UNSET, name="_container")
    library: str = field(name="_library")
    client: str | None = field(name="_client")
    server: str | None = field(name="_server")


class WebSocketMessage(Struct, kw_only=True):
    """One message, as Chromium writes it."""

    type: str
    """`send` or `receive`, as the client would say."""
    time: float
    """Seconds since 1970."""
    opcode: int
    """RFC 6455 section 5.2."""
    data: Text
    """Base64 unless the opcode is 1."""
    size: int | UnsetType = field(default=UNSET, name="_size")
    """Bytes of the whole message, where the data does not hold them all."""
    sha256: str | UnsetType = field(default=UNSET, name="_sha256")
    code: int | UnsetType = field(default=UNSET, name="_code")
    """Of a close (RFC 6455 section 7.4)."""
    error: str | UnsetType = field(default=UNSET, name="_error")


class Creator(Struct):
    """What wrote the file."""

    name: str
    version: str
