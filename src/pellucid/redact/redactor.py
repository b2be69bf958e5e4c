"""From message to message: which part of which message is what."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from pellucid.media import essence, is_json
from pellucid.model import (
    ConnectionEvent,
    Grpc,
    Http,
    Lost,
    Message,
    Query,
    RawData,
    Request,
    Response,
    ServerSentEvent,
    Summary,
    Text,
    WebSocket,
)
from pellucid.redact.forms import masked_form, masked_multipart
from pellucid.redact.headers import masked_headers, masked_url
from pellucid.redact.json import json_spans
from pellucid.redact.spans import MASK, masked
from pellucid.redact.sql import masked_error, masked_literals
from pellucid.redact.stream import Streams
from pellucid.redact.text import text_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.redact.rules import Rules

_MAX_NESTED = 4
"""Forms, multipart bodies and JSON within each other are read as such so many times over; deeper down it is text."""

_LEFT_OUT = "data is left out by --redact: it holds what is masked, or may"

S = TypeVar("S", bound=Struct)
H = TypeVar("H", Request, Response)
D = TypeVar("D", WebSocket, Grpc)


class Redactor:
    """Masks the credentials of one capture; a message without any comes back as it is."""

    def __init__(self, rules: Rules, *, sql: bool = False) -> None:
        self._rules = rules
        self._sql = sql
        self._streams = Streams(rules)
        self._by_type: dict[type[Message], Callable[[Any], Message]] = {
            Http: self._http,
            WebSocket: self._websocket,
            ServerSentEvent: self._event,
            Grpc: self._grpc,
            Query: self._query,
            RawData: self._raw,
            ConnectionEvent: self._connection,
            Lost: _same,
            Summary: _same,
        }

    def __call__(self, message: Message) -> Message:
        """Return the message as it may be written."""
        return self._by_type.get(type(message), self._anything)(message)

    # --- messages ----------------------------------------------------------------------------------

    def _http(self, message: Http) -> Http:
        """Mask both halves; a body that cannot be looked into is left out, and `error` says so."""
        grpc = message.protocol == "gRPC"
        request, without_request = _without_opaque(message.request, "request", grpc=grpc)
        response, without_response = _without_opaque(message.response, "response", grpc=grpc)
        return msgspec.structs.replace(
            message,
            request=self._request(request),
            response=self._response(response),
            error="; ".join(filter(None, [message.error, without_request, without_response])) or None,
        )

    def _raw(self, message: RawData) -> RawData:
        return msgspec.structs.replace(message, data=self._streams.masked(message))

    def _connection(self, message: ConnectionEvent) -> ConnectionEvent:
        if message.event == "closed":
            self._streams.forget(message.conn)
        return message

    def _request(self, request: Request | None) -> Request | None:
        if request is None:
            return None
        return self._half(_replaced(request, url=self._url, authority=self._url))

    def _response(self, response: Response | None) -> Response | None:
        if response is None:
            return None
        return self._half(_replaced(response, reason=self.text, grpc_message=self.text))

    def _half(self, half: H) -> H:
        """What both have in common. Of a short body a digest would let the secret be guessed."""
        media = _header(half, "content-type")
        hidden = _replaced(
            half,
            headers=self._headers,
            trailers=self._headers,
            body=lambda body: self.body(body, media),
        )
        return msgspec.structs.replace(hidden, sha256=UNSET)

    def _websocket(self, message: WebSocket) -> WebSocket:
        """Bytes that are still compressed cannot be looked into."""
        hidden = _replaced(message, url=self._url, data=self.body)
        if isinstance(message.data, bytes) and (message.error or "").startswith("compressed"):
            hidden = _without_data(hidden)
        return msgspec.structs.replace(hidden, sha256=UNSET)

    def _event(self, message: ServerSentEvent) -> ServerSentEvent:
        return _replaced(message, url=self._url, data=self.body, id=self.text)

    def _grpc(self, message: Grpc) -> Grpc:
        """A field that is masked by its name cannot be found in the bytes, nor anything in what is still compressed."""
        hidden = _replaced(
            message, url=self._url, message=self._value, data=self.body, trailers=self._headers
        )
        unread = message.message is None and message.compression is not UNSET
        same = hidden.message == message.message and hidden.data == message.data
        return hidden if same and not (unread and isinstance(message.data, bytes)) else _without_data(hidden)

    def _query(self, message: Query) -> Query:
        if not self._sql:
            return _replaced(message, query=self.text, parameters=self._value, failure=self._value)

        def literals(query: str) -> str:
            return masked_literals(query, message.server)

        hidden = _replaced(message, query=literals, parameters=_all_masked)
        if hidden.failure is None:
            return hidden
        return msgspec.structs.replace(hidden, failure=_replaced(hidden.failure, message=masked_error))

    def _anything(self, message: S) -> S:
        """A message that only a plug-in knows: by the names of its fields, and what these hold."""
        changes = {}
        for name in message.__struct_fields__:
            shown = getattr(message, name)
            hidden = MASK if isinstance(shown, str) and self._rules.names.key(name) else self._value(shown)
            if hidden is not shown:
                changes[name] = hidden
        return msgspec.structs.replace(message, **changes) if changes else message

    # --- their parts -------------------------------------------------------------------------------

    def _url(self, url: str) -> str:
        return masked_url(url, self._rules)

    def _headers(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return masked_headers(headers, self._rules)

    def body(self, body: Text, media: str = "", nested: int = 0) -> Text:
        """Mask a payload, by its media type where that is known."""
        kind = essence(media)
        if kind.startswith("multipart/") and nested < _MAX_NESTED:
            parts = self._multipart(body, media, nested)
            if parts is not None:
                return parts
        if isinstance(body, bytes):
            view = body.decode("iso-8859-1")
            hidden = masked(view, text_spans(view, self._rules))
            return body if hidden is view else hidden.encode("iso-8859-1")
        if kind == "application/x-www-form-urlencoded":
            return masked_form(body, self._rules, self._inner(nested))
        if is_json(kind) or body.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
            return self._json(body, nested)
        return self.text(body)

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
        if not _valid(text):
            spans += text_spans(text, self._rules)
        return masked(text, spans)

    def _value(self, value: Any) -> Any:
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
                items = type(value)(self._value(item) for item in value)
                return items if items != value else value
            case Struct():
                return self._anything(value)
            case _:
                return value

    def _member(self, name: Any, value: Any) -> Any:
        if value is not None and isinstance(name, str) and self._rules.names.key(name):
            return MASK
        return self._value(value)

    def _base64(self, value: dict[str, str], text: str) -> dict[str, str]:
        try:
            shown = base64.b64decode(text, validate=True)
        except binascii.Error:
            return {"base64": self.text(text)}
        hidden = self._value(shown)
        return value if hidden == shown else {"base64": base64.b64encode(hidden).decode()}


def _replaced(struct: S, **maskings: Callable[[Any], Any]) -> S:
    """Mask the fields that are there, each by its own function; the same struct where nothing changes."""
    changes = {}
    for name, mask in maskings.items():
        shown = getattr(struct, name, UNSET)
        if shown is UNSET or shown is None:
            continue
        hidden = mask(shown)
        if hidden != shown:
            changes[name] = hidden
    return msgspec.structs.replace(struct, **changes) if changes else struct


def _without_opaque(half: H | None, name: str, *, grpc: bool) -> tuple[H | None, str | None]:
    """Return the half without a body that holds what cannot be found in it, and why it is left out."""
    if half is None or not half.body:
        return half, None
    if grpc or essence(_header(half, "content-type")).startswith("application/grpc"):  # gRPC-Web is HTTP
        reason = "its messages are shown by themselves, where fields have names"
    elif isinstance(half.body, bytes) and _header(half, "content-encoding"):
        reason = "it may still be in its content coding"
    else:
        return half, None
    without = msgspec.structs.replace(half, body="", encoding=UNSET)
    return without, f"the {name} body is left out by --redact: {reason}"


def _without_data(message: D) -> D:
    error = "; ".join(filter(None, [message.error, _LEFT_OUT]))
    return msgspec.structs.replace(message, data="", encoding=UNSET, error=error)


def _header(half: Request | Response, wanted: str) -> str:
    """The first value of a header, empty where there is none."""
    return next((value for name, value in half.headers if name.lower() == wanted), "")


def _same(message: Message) -> Message:
    return message


def _all_masked(parameters: list[Any]) -> list[Any]:
    return [None if value is None else MASK for value in parameters]


def _valid(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return False
    return True
