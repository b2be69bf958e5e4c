"""An exchange as an entry of HAR 1.2."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.media import MAX_PARTS
from pellucid.sink import har_model as har
from pellucid.sink.har_cookies import sent_cookies, set_cookies
from pellucid.sink.har_form import params_of, query_of, url_of

if TYPE_CHECKING:
    from collections.abc import Sized

    from msgspec import UnsetType

    from pellucid.model import Headers, Http, Request, Response, Text, WebSocket

_VERSIONS = {"HTTP/2": "http/2.0", "gRPC": "http/2.0"}
"""As Chromium writes and reads them; HTTP/1 it takes as the start line has it."""
_UNKNOWN_TYPE = "x-unknown"
_UNKNOWN_HOST = "unknown.invalid"
"""A name that never exists (RFC 2606 section 2): an entry must have a URL."""
_OPCODES = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
_NO_CACHE = har.Cache()


def entry_of(message: Http, *, websocket: bool = False) -> har.Entry:
    """Everything that the message says, in the format's fields where it has them."""
    timings = _timings(message)
    optional = message.container or UNSET
    return har.Entry(
        started_date_time=message.ts,
        time=timings.send + timings.wait + timings.receive,
        request=_request(message, "wss" if websocket else "https"),
        response=_response(message),
        cache=_NO_CACHE,
        timings=timings,
        server_ip_address=_host(message.dst) if message.dst else UNSET,
        connection=str(message.conn),
        comment=message.error or UNSET,
        resource_type="websocket" if websocket else UNSET,
        stream=UNSET if message.stream is None else message.stream,
        pushed=message.pushed,
        truncated=message.truncated or UNSET,
        role=message.role,
        process=message.comm,
        pid=message.pid,
        executable=message.executable,
        container=optional,
        library=message.library,
        client=message.src,
        server=message.dst,
    )


def websocket_message_of(message: WebSocket) -> har.WebSocketMessage:
    """One message as Chromium writes it: what is no text is base64."""
    sent = (message.direction == "write") == (message.role != "server")
    data = message.data
    return har.WebSocketMessage(
        type="send" if sent else "receive",
        time=_seconds(message.ts),
        opcode=_OPCODES[message.opcode],
        data=data.encode() if isinstance(data, str) and message.opcode != "text" else data,
        size=message.size if message.truncated else UNSET,
        sha256=message.sha256,
        code=message.code,
        error=message.error or UNSET,
    )


def _timings(message: Http) -> har.Timings:
    """The three phases add up to the duration; where response and request overlap, none is waited for."""
    send, receive = message.request_ms or 0, message.response_ms or 0
    if message.duration_ms is None:
        return har.Timings(send=send, receive=receive)
    send = min(send, message.duration_ms)
    receive = min(receive, message.duration_ms - send)
    return har.Timings(send=send, wait=round(message.duration_ms - send - receive, 3), receive=receive)


def _request(message: Http, scheme: str) -> har.Request:
    request = message.request
    version = _version(message.protocol)
    if request is None:
        return har.Request(
            method="",
            url=url_of("/", message.dst or _UNKNOWN_HOST, scheme),
            http_version=version,
            cookies=[],
            headers=[],
            query_string=[],
            body_size=-1,
        )
    query = query_of(request.url)
    return har.Request(
        method=request.method,
        url=url_of(request.url, request.authority or message.dst or _UNKNOWN_HOST, scheme),
        http_version=version,
        cookies=sent_cookies(request.headers),
        headers=_named(request.headers),
        query_string=query,
        comment=_comment_on(query),
        post_data=_post_data(request) if request.size else UNSET,
        body_size=request.size,
        trailers=request.trailers,
        sha256=request.sha256,
        partial=request.partial,
    )


def _response(message: Http) -> har.Response:
    response = message.response
    version = _version(message.protocol)
    error = message.error or UNSET
    if response is None:
        return har.Response(
            status=0,
            status_text="",
            http_version="",
            cookies=[],
            headers=[],
            content=har.Content(size=0, mime_type=_UNKNOWN_TYPE),
            redirect_url="",
            body_size=-1,
            transfer_size=0,
            error=error,
        )
    return har.Response(
        status=response.status,
        status_text=response.reason,
        http_version=version,
        cookies=set_cookies(response.headers),
        headers=_named(response.headers),
        content=_content(response, truncated=message.truncated),
        redirect_url=_field(response.headers, "location"),
        body_size=response.size,
        transfer_size=response.size,
        error=error,
        trailers=response.trailers,
        sha256=response.sha256,
        partial=response.partial,
        grpc_status=response.grpc_status,
        grpc_message=response.grpc_message,
    )


def _post_data(request: Request) -> har.PostData:
    media = _field(request.headers, "content-type")
    params = params_of(media, request.body)
    return har.PostData(
        mime_type=media,
        text=request.body,
        params=params,
        comment=UNSET if params is UNSET else _comment_on(params),
        encoding=request.encoding,
    )


def _comment_on(fields: Sized) -> str | UnsetType:
    return UNSET if len(fields) < MAX_PARTS else f"no more than {MAX_PARTS} fields are listed"


def _content(response: Response, *, truncated: bool) -> har.Content:
    """Without a content coding its size is what was sent, whatever the charset; with one, that of the text shown."""
    coded = bool(_field(response.headers, "content-encoding"))
    size = _bytes(response.body) if coded else response.size
    whole = response.sha256 is UNSET and not truncated
    return har.Content(
        size=size,
        compression=size - response.size if whole and coded else UNSET,
        mime_type=_field(response.headers, "content-type") or _UNKNOWN_TYPE,
        text=response.body or UNSET,
        encoding=response.encoding if response.body else UNSET,
    )


def _version(protocol: str) -> str:
    return _VERSIONS.get(protocol, protocol)


def _named(headers: Headers) -> list[har.Named]:
    return [har.Named(name, value) for name, value in headers]


def _field(headers: Headers, wanted: str) -> str:
    """The first value of a field, empty where there is none; names have no case (RFC 9110 section 5.1)."""
    return next((value for name, value in headers if name.lower() == wanted), "")


def _bytes(body: Text) -> int:
    if isinstance(body, bytes) or body.isascii():
        return len(body)
    return len(body.encode("utf-8", "surrogatepass"))


def _host(address: str) -> str:
    """Of `address:port`, IPv6 without its brackets, as Chromium writes it."""
    return address.rpartition(":")[0].strip("[]")


def _seconds(ts: str) -> float:
    return datetime.fromisoformat(ts).timestamp()
