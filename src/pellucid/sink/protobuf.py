"""For viewers of eCapture's events: each message is one `LogEntry` or two (`sink/logentry.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.model import Http, OnConnection, RawData, Shell
from pellucid.sink.base import Sink
from pellucid.sink.json import encode_into
from pellucid.sink.logentry import Event, EventType, delimited, event, run_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.model import Headers, Message, Request, Response, Text


class ProtobufSink(Sink):
    """An exchange is an event for each half; what has no connection, such as the summary, is a line of the log.

    In a file, on stdout and over TCP each entry comes behind its length (a varint); a WebSocket keeps them apart itself.
    """

    format = "protobuf"
    binary = True

    def write(self, message: Message) -> None:
        """Append the message's entries."""
        for entry in entries(message):
            self._append(entry if self._output.framed else delimited(entry))


def entries(message: Message) -> Iterator[bytes]:
    """A message as `LogEntry`s, encoded."""
    if isinstance(message, Http):
        yield from map(event, _halves(message))
    elif isinstance(message, RawData):
        sent = (message.direction == "write") == (message.role != "server")
        yield event(_event(message, EventType.RAW, _octets(message.data), back=not sent))
    elif isinstance(message, OnConnection):
        yield event(_event(message, EventType.RAW, _json(message)))
    elif isinstance(message, Shell):
        yield event(_of_process(message, EventType.RAW, _json(message)))
    else:
        yield run_log(_json(message).decode())


def _halves(message: Http) -> Iterable[Event]:
    """Request and response, as far as they were seen; from whoever sent them."""
    newer = not message.protocol.startswith("HTTP/1")
    if message.request is not None:
        kind = EventType.HTTP2_REQUEST if newer else EventType.HTTP1_REQUEST
        yield _event(message, kind, _request(message.request, message.protocol))
    if message.response is not None:
        kind = EventType.HTTP2_RESPONSE if newer else EventType.HTTP1_RESPONSE
        yield _event(message, kind, _response(message.response, message.protocol), back=True)


def _event(message: OnConnection, kind: EventType, payload: bytes, *, back: bool = False) -> Event:
    """An event from `src` to `dst`, or the way `back`."""
    ends = _end(message.src), _end(message.dst)
    (src_ip, src_port), (dst_ip, dst_port) = reversed(ends) if back else ends
    return Event(
        timestamp=int(datetime.fromisoformat(message.ts).timestamp()),
        uuid=f"{message.pid}_{message.tid}_{message.comm}_{message.conn}",
        src_ip=src_ip,
        src_port=src_port,
        dst_ip=dst_ip,
        dst_port=dst_port,
        pid=message.pid,
        pname=message.comm,
        type=kind,
        length=len(payload),
        payload=payload,
    )


def _of_process(message: Shell, kind: EventType, payload: bytes) -> Event:
    """An event of a process that has no connection."""
    return Event(
        timestamp=int(datetime.fromisoformat(message.ts).timestamp()),
        uuid=f"{message.pid}_{message.pid}_{message.comm}_0",
        src_ip="",
        src_port=0,
        dst_ip="",
        dst_port=0,
        pid=message.pid,
        pname=message.comm,
        type=kind,
        length=len(payload),
        payload=payload,
    )


def _end(address: str | None) -> tuple[str, int]:
    """Address and port of one end; nothing and 0 where it is not known."""
    host, _, port = (address or "").rpartition(":")
    return host.strip("[]"), int(port or 0)


def _request(request: Request, protocol: str) -> bytes:
    """The request as HTTP/1 would have it (RFC 9112 section 2.1), its body without codings."""
    headers = request.headers
    if request.authority and all(name.lower() != "host" for name, _ in headers):
        headers = [("Host", request.authority), *headers]
    return _head(f"{request.method} {request.url} {_version(protocol)}", headers) + _rest(request)


def _response(response: Response, protocol: str) -> bytes:
    return _head(f"{_version(protocol)} {response.status} {response.reason}", response.headers) + _rest(
        response
    )


def _version(protocol: str) -> str:
    return protocol if protocol.startswith("HTTP/") else "HTTP/2"  # gRPC


def _head(first: str, headers: Headers) -> bytes:
    return _octets(
        "".join([f"{line}\r\n" for line in (first, *(f"{name}: {value}" for name, value in headers), "")])
    )


def _rest(half: Request | Response) -> bytes:
    body = _octets(half.body)
    if half.trailers is UNSET:
        return body
    return body + _head("", half.trailers)


def _octets(text: Text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _json(message: Message) -> bytes:
    line = bytearray()
    encode_into(message, line)
    return bytes(line)
