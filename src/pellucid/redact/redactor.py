"""From message to message: which part of which message is what."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from pellucid.media import essence
from pellucid.model import (
    ConnectionEvent,
    Grpc,
    Http,
    KeyLogLine,
    Lost,
    Message,
    Query,
    QueryShape,
    RawData,
    Request,
    Response,
    ServerSentEvent,
    Shell,
    Summary,
    WebSocket,
)
from pellucid.redact.content import Content
from pellucid.redact.shell import masked_line, masked_words
from pellucid.redact.spans import MASK
from pellucid.redact.sql import masked_error, masked_literals
from pellucid.redact.stream import Streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Text
    from pellucid.redact.rules import Rules

_LEFT_OUT = "data is left out by --redact: it holds what is masked, or may"

S = TypeVar("S", bound=Struct)
H = TypeVar("H", Request, Response)
D = TypeVar("D", WebSocket, Grpc)


class Redactor:
    """Masks the credentials of one capture; a message without any comes back as it is."""

    def __init__(self, rules: Rules, *, sql: bool = False) -> None:
        self._content = Content(rules)
        self._rules = rules
        self._sql = sql
        self._streams = Streams(rules)
        self._by_type: dict[type[Message], Callable[[Any], Message]] = {
            Http: self._http,
            WebSocket: self._websocket,
            ServerSentEvent: self._event,
            Grpc: self._grpc,
            Query: self._query,
            Shell: self._shell,
            RawData: self._raw,
            ConnectionEvent: self._connection,
            KeyLogLine: _without_secret,
            Lost: _same,
            QueryShape: _same,  # its values are gone
            Summary: _same,
        }

    def __call__(self, message: Message) -> Message:
        """Return the message as it may be written."""
        return self._by_type.get(type(message), self._content.anything)(message)

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
        """Bytes that no parser claimed may be a database's session that is older than the capture: SQL and rows, in any form."""
        if self._sql:
            return msgspec.structs.replace(message, data=MASK, encoding=UNSET)
        return msgspec.structs.replace(message, data=self._streams.masked(message))

    def _connection(self, message: ConnectionEvent) -> ConnectionEvent:
        if message.event == "closed":
            self._streams.forget(message.conn)
        return message

    def _request(self, request: Request | None) -> Request | None:
        if request is None:
            return None
        return self._half(_replaced(request, url=self._content.url, authority=self._content.authority))

    def _response(self, response: Response | None) -> Response | None:
        if response is None:
            return None
        return self._half(_replaced(response, reason=self._content.text, grpc_message=self._content.text))

    def _half(self, half: H) -> H:
        """What both have in common. Of a short body a digest would let the secret be guessed."""
        media = _header(half, "content-type")
        hidden = _replaced(
            half,
            headers=self._content.headers,
            trailers=self._content.headers,
            body=lambda body: self._content.body(body, media),
        )
        return msgspec.structs.replace(hidden, sha256=UNSET)

    def _websocket(self, message: WebSocket) -> WebSocket:
        """Bytes that are still compressed cannot be looked into."""
        hidden = _replaced(message, url=self._content.url, data=self._content.body)
        if isinstance(message.data, bytes) and (message.error or "").startswith("compressed"):
            hidden = _without_data(hidden)
        return msgspec.structs.replace(hidden, sha256=UNSET)

    def _event(self, message: ServerSentEvent) -> ServerSentEvent:
        return _replaced(message, url=self._content.url, data=self._content.body, id=self._content.text)

    def _grpc(self, message: Grpc) -> Grpc:
        """A field that is masked by its name cannot be found in the bytes, nor anything in what is still compressed."""
        hidden = _replaced(
            message,
            url=self._content.url,
            message=self._content.value,
            data=self._content.body,
            trailers=self._content.headers,
        )
        unread = message.message is None and message.compression is not UNSET
        same = hidden.message == message.message and hidden.data == message.data
        return hidden if same and not (unread and isinstance(message.data, bytes)) else _without_data(hidden)

    def _typed(self, typed: str | dict[str, str]) -> Any:
        if isinstance(typed, str):
            return self._command(typed)
        hidden = self._command(base64.b64decode(typed["base64"]))
        return {"base64": base64.b64encode(hidden if isinstance(hidden, bytes) else hidden.encode()).decode()}

    def _shell(self, message: Shell) -> Shell:
        return _replaced(
            message, line=self._command, typed=self._typed, argv=self._words, script=self._content.text
        )

    def _command(self, line: Text) -> Text:
        if isinstance(line, str):
            return self._content.body(masked_line(line, self._rules))
        hidden = masked_line(line.decode("iso-8859-1"), self._rules).encode("iso-8859-1")
        return self._content.body(hidden)

    def _words(self, argv: list[Any]) -> list[Any]:
        """Those that are no text are looked at byte by byte."""
        hidden = masked_words([_word(word) for word in argv], self._rules)
        return [self._content.value(_as(word, shown)) for word, shown in zip(argv, hidden, strict=True)]

    def _query(self, message: Query) -> Query:
        if not self._sql:
            return _replaced(
                message, query=self._content.text, parameters=self._content.value, failure=self._content.value
            )

        def literals(query: str) -> str:
            return masked_literals(query, message.server)

        hidden = _replaced(message, query=literals, parameters=_all_masked)
        if hidden.failure is None:
            return hidden
        return msgspec.structs.replace(hidden, failure=_replaced(hidden.failure, message=masked_error))


def _word(word: str | dict[str, str]) -> str:
    """A word of a command, as the characters that it has or one for each byte."""
    return word if isinstance(word, str) else base64.b64decode(word["base64"]).decode("iso-8859-1")


def _as(word: str | dict[str, str], shown: str) -> str | dict[str, str]:
    """The same in the form that the word has."""
    if isinstance(word, str):
        return shown
    return {"base64": base64.b64encode(shown.encode("iso-8859-1")).decode()}


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


def _without_secret(message: KeyLogLine) -> KeyLogLine:
    return msgspec.structs.replace(message, secret=MASK)


def _same(message: Message) -> Message:
    return message


def _all_masked(parameters: list[Any]) -> list[Any]:
    return [None if value is None else MASK for value in parameters]
