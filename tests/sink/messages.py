"""Messages that the sink tests share: plain examples, and hypothesis strategies for all there can be."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET

from pellucid.model import (
    ConnectionEvent,
    Grpc,
    Headers,
    Http,
    KeyLogLine,
    Lost,
    Message,
    Query,
    QueryError,
    RawData,
    Request,
    Response,
    ServerSentEvent,
    Shell,
    Summary,
    WebSocket,
)

TS = "2026-11-22T02:57:42.123456Z"

WHO: dict[str, Any] = {
    "ts": TS,
    "pid": 4711,
    "tid": 4712,
    "uid": 1000,
    "comm": "curl",
    "executable": "/usr/bin/curl",
    "container": None,
    "library": "libssl.so.3",
    "conn": 7,
    "src": "10.0.0.2:51234",
    "dst": "93.184.216.34:443",
    "role": "client",
}


def http(**changes: Any) -> Http:
    """Return a small exchange: a GET that is answered with `hello`."""
    fields = {
        **WHO,
        "protocol": "HTTP/1.1",
        "request": Request(method="GET", url="/a", authority="e.com", headers=[("Host", "e.com")]),
        "response": answer("hello"),
        "duration_ms": 12.345,
    }
    return Http(**{**fields, **changes})


def answer(body: str | bytes, headers: Headers | None = None, **changes: Any) -> Response:
    """Return a response that carries a body."""
    encoding = "base64" if isinstance(body, bytes) else UNSET
    fields = {"status": 200, "reason": "OK", "size": len(body), **changes}
    return Response(headers=headers or [("Server", "x")], body=body, encoding=encoding, **fields)


def raw(data: str | bytes, **changes: Any) -> RawData:
    """Return bytes that no parser claimed."""
    encoding = "base64" if isinstance(data, bytes) else UNSET
    fields = {**WHO, "direction": "write", "offset": 0, "size": len(data), "data": data}
    return RawData(**{**fields, "encoding": encoding, **changes})


def connection(**changes: Any) -> ConnectionEvent:
    """Return the opening of a connection."""
    return ConnectionEvent(**{**WHO, "event": "opened", "started": "new", **changes})


def command(**changes: Any) -> Shell:
    """Return a command of bash that failed."""
    fields = {
        "ts": TS, "pid": 42, "ppid": 41, "uid": 1000, "user": "ada", "comm": "bash", "shell": "bash", "tty": "pts/3",
        "cwd": "/home/ada", "line": "ls x |\n  wc", "exit_code": 2, "duration_ms": 1.25, "ended": "done",
    }  # fmt: skip
    return Shell(**{**fields, **changes})


def secret(**changes: Any) -> KeyLogLine:
    """Return a secret of a handshake."""
    fields = {
        "ts": TS, "pid": 4711, "tid": 4712, "uid": 1000, "comm": "curl", "executable": "/usr/bin/curl", "container": None,
        "library": "libssl.so.3", "started": "new", "label": "CLIENT_TRAFFIC_SECRET_0", "client_random": "5c" * 32,
        "secret": "3f" * 32,
    }  # fmt: skip
    return KeyLogLine(**{**fields, **changes})


def lost(**changes: Any) -> Lost:
    """Return a hole of 4096 bytes."""
    fields = {"ts": TS, "conn": 7, "direction": "read", "offset": 100, "size": 4096, "reason": "ring_full"}
    return Lost(**{**fields, **changes})


def summary(**changes: Any) -> Summary:
    """Return the end of a capture that lost nothing."""
    captured = {"http": 10, "data": 2}
    fields = {"ts": TS, "captured": captured, "bytes": 7345, "lost": {}, "targets": 3, "seconds": 34.56}
    return Summary(**{**fields, **changes})


def shown_bytes(body: str | bytes) -> bytes:
    """Return the bytes that a body stands for."""
    return body if isinstance(body, bytes) else body.encode()


def parsed_bytes(half: dict[str, Any], key: str) -> bytes:
    """Return the bytes that a parsed JSON object carries, its `encoding` undone."""
    encoded = half.get("encoding") == "base64"
    return base64.b64decode(half[key], validate=True) if encoded else half[key].encode()


# Nearly every generated text is hostile: controls of all kinds, line ends and lone surrogates.
text = st.text(st.characters() | st.sampled_from("\x00\x07\x1b\x7f\x85\x9b\r\n\t\u202e\u2028\udcff"))
headers = st.lists(st.tuples(text, text), max_size=3)
maybe_text = st.none() | text
sizes = st.integers(0, 2**63 - 1)
finite = st.floats(0, 1e12)
times = st.datetimes().map(lambda time: f"{time.isoformat(timespec='microseconds')}Z")


def encoded(cls: type, key: str, fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Build `cls` with a payload in `key`: text, or bytes that say so in `encoding`."""
    # As the parsers promise: a payload is Unicode, or bytes.
    unicode_ = text.filter(lambda value: not any("\ud800" <= c <= "\udfff" for c in value))
    texts = st.builds(cls, **fields, **{key: unicode_})
    binaries = st.builds(cls, **fields, **{key: st.binary(max_size=64)}, encoding=st.just("base64"))
    return texts | binaries


_halves: dict[str, st.SearchStrategy[Any]] = {
    "headers": headers,
    "size": sizes,
    "sha256": st.just(UNSET) | st.just("ab" * 32),
    "trailers": st.just(UNSET) | headers,
}
requests = encoded(Request, "body", {**_halves, "method": text, "url": text, "authority": maybe_text})
responses = encoded(Response, "body", {**_halves, "status": st.integers(100, 999), "reason": text})

_on_connection: dict[str, st.SearchStrategy[Any]] = {
    "ts": times,
    "pid": sizes,
    "tid": sizes,
    "uid": sizes,
    "comm": text,
    "library": text,
    "conn": sizes,
    "src": maybe_text,
    "dst": maybe_text,
    "role": maybe_text,
}
exchanges = st.builds(
    Http,
    **_on_connection,
    protocol=text,
    stream=st.none() | sizes,
    request=st.none() | requests,
    response=st.none() | responses,
    duration_ms=st.none() | finite,
    truncated=st.booleans(),
    error=maybe_text,
)
raws = encoded(RawData, "data", {**_on_connection, "direction": text, "offset": sizes, "size": sizes})
_inside: dict[str, st.SearchStrategy[Any]] = {
    **_on_connection,
    "url": maybe_text,
    "direction": st.sampled_from(["read", "write"]),
    "stream": st.none() | sizes,
    "size": sizes,
    "truncated": st.booleans(),
}
json_values = st.recursive(
    st.none() | st.booleans() | sizes | finite | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
insides = (
    encoded(
        WebSocket, "data", {**_inside, "opcode": text, "code": st.just(UNSET) | sizes, "error": maybe_text}
    )
    | st.builds(ServerSentEvent, **_inside, event=text, id=text, data=text)
    | encoded(Grpc, "data", {**_inside, "number": sizes, "message": json_values, "error": maybe_text})
)
queries = st.builds(
    Query,
    **_on_connection,
    server=st.sampled_from(["mysql", "postgres"]),
    user=maybe_text,
    database=maybe_text,
    kind=text,
    query=maybe_text,
    parameters=st.just(UNSET) | st.lists(json_values, max_size=2),
    rows=st.none() | sizes,
    duration_ms=st.none() | finite,
    failure=st.none() | st.builds(QueryError, code=text, message=text),
    error=maybe_text,
)
connections = st.builds(ConnectionEvent, **_on_connection, event=text, started=text)
losses = st.builds(
    Lost,
    ts=times,
    conn=st.none() | sizes,
    direction=maybe_text,
    offset=st.none() | sizes,
    size=sizes,
    reason=text,
)
summaries = st.builds(
    Summary,
    ts=times,
    captured=st.dictionaries(text, sizes, max_size=3),
    bytes=sizes,
    lost=st.dictionaries(text, sizes, max_size=3),
    targets=sizes,
    seconds=finite,
    complete=st.booleans(),
)
messages: st.SearchStrategy[Message] = st.one_of(
    exchanges, raws, insides, queries, connections, losses, summaries
)
