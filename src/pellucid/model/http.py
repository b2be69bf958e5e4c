"""Messages of HTTP and of what is spoken inside it."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from pellucid.model.messages import OnConnection, Text

Headers = list[tuple[str, str]]


class Request(Struct, kw_only=True):
    """The request half of an exchange."""

    method: str
    """As sent: any token; empty where it is not known (see `partial`), as the following."""
    url: str
    """The request target as sent: usually path and query."""
    authority: str | None
    """The Host header, or the authority of an absolute target."""
    headers: Headers
    """In order, with their own case."""
    body: Text = ""
    """Content codings undone where that is possible within the limits, text in the charset that the Content-Type
    declares; at most `--max-body` bytes, fewer where memory (`--memory`) ran short; `error` says so."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are neither in the declared charset nor in UTF-8."""
    size: int = 0
    """Bytes of the whole body as sent, after chunked framing is removed, before content codings."""
    sha256: str | UnsetType = UNSET
    """Hex digest of all `size` bytes; present when `body` does not hold them all."""
    trailers: Headers | UnsetType = UNSET
    """Fields after the body."""
    partial: bool | UnsetType = UNSET
    """True where header fields are missing: their names stand in a table that was sent before the capture began
    (HPACK, RFC 7541)."""


class Response(Struct, kw_only=True):
    """The response half of an exchange."""

    status: int
    """Three digits; 0 where it is not known (see `partial`)."""
    reason: str
    """The words behind it, often empty."""
    headers: Headers
    """In order, with their own case."""
    body: Text = ""
    """As for the request."""
    encoding: str | UnsetType = UNSET
    """As for the request."""
    size: int = 0
    """As for the request."""
    sha256: str | UnsetType = UNSET
    """As for the request."""
    trailers: Headers | UnsetType = UNSET
    """Fields after the body."""
    partial: bool | UnsetType = UNSET
    """As for the request."""
    grpc_status: int | UnsetType = UNSET
    """How a gRPC call ended: 0 is OK (the codes are in grpc's doc/statuscodes.md); absent while it is not known."""
    grpc_message: str | UnsetType = UNSET
    """The words to it, percent-encoding undone."""


class Http(OnConnection, kw_only=True):
    """One HTTP exchange: `ts` is the beginning of its first half."""

    protocol: str
    """`HTTP/1.1`, `HTTP/1.0`, `HTTP/2`, or `gRPC` for a call of it."""
    stream: int | None = None
    """The stream of a protocol that has several on one connection."""
    request: Request | None
    """Null when the capture began between request and response, or the request was lost."""
    response: Response | None
    """Null when there was none before the connection or the capture ended."""
    pushed: bool | UnsetType = UNSET
    """True where the server has promised the request (RFC 9113 section 8.4); nobody sent it."""
    duration_ms: float | None
    """First byte of the request to last byte of the response."""
    request_ms: float | None = None
    """First to last byte of the request alone; null where it was not seen."""
    response_ms: float | None = None
    """First to last byte of the response alone; what is left of the duration was spent waiting for it."""
    truncated: bool = False
    """A body is longer than what is shown."""
    error: str | None = None
    """What is wrong or missing, in words."""


class Inside(OnConnection, kw_only=True):
    """One piece of what an exchange carries, shown when it comes and not when the exchange ends."""

    stream: int | None = None
    """The HTTP/2 stream; null where the exchange has the connection for itself."""
    url: str | None
    """The request target of the exchange; null where the request was not seen."""
    direction: str
    """`read` or `write`."""


class WebSocket(Inside, tag="websocket", kw_only=True):
    """One WebSocket message, its fragments put together, or one control frame (RFC 6455 section 5)."""

    opcode: str
    """`text`, `binary`, `ping`, `pong` or `close`; `continuation` for the end of a message whose beginning was not seen."""
    data: Text = ""
    """The payload, masking and compression undone; at most `--max-body` bytes. Of a `close` the words to it."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""
    size: int = 0
    """Bytes of the whole payload as it is after compression is undone, as far as that was possible."""
    sha256: str | UnsetType = UNSET
    """Hex digest of all `size` bytes; present when `data` does not hold them all."""
    code: int | UnsetType = UNSET
    """Of a `close` (RFC 6455 section 7.4)."""
    truncated: bool = False
    """The message is longer than what is shown."""
    error: str | None = None
    """What is wrong or missing, in words."""


class ServerSentEvent(Inside, tag="event", kw_only=True):
    """One event of a `text/event-stream` (HTML Living Standard section 9.2)."""

    event: str = "message"
    """Its type."""
    id: str | UnsetType = UNSET
    """The last event id, where the stream has set one."""
    data: str = ""
    """Its lines, joined by a newline; at most `--max-body` bytes."""
    size: int = 0
    """Bytes of all its lines."""
    retry: int | UnsetType = UNSET
    """Milliseconds to wait before the client connects again, where this event says so."""
    truncated: bool = False
    """The event is longer than what is shown."""


class Grpc(Inside, tag="grpc", kw_only=True):
    """One message of a gRPC call; the call itself is an `http` message whose protocol is `gRPC`."""

    number: int
    """Its place among the messages of this direction of the call, from 0."""
    message: Any = None
    """What protobuf says of it: an object by field names where `--proto` knows the method, else by field numbers as
    far as the bytes can be read so; null where they cannot."""
    schema: str | UnsetType = UNSET
    """The full name of the message type that `message` was read by."""
    data: Text = ""
    """The bytes, compression undone; at most `--max-body` of them."""
    encoding: str | UnsetType = UNSET
    """`base64` where the bytes are not UTF-8."""
    compression: str | UnsetType = UNSET
    """The coding of the message as sent (`gzip`); absent where it was sent as it is."""
    trailers: Headers | UnsetType = UNSET
    """How the call ended, in gRPC-Web, where this is a last message of the body and no protobuf."""
    size: int = 0
    """Bytes of the message as sent, without its prefix of five."""
    truncated: bool = False
    """The message is longer than what is shown."""
    error: str | None = None
    """What is wrong or missing, in words."""
