"""Text for people, at night: one paragraph a message, readable in a terminal and by grep and awk.

A line that begins with a time, `>`, `<` or `[` is Pellucid's own; captured payload is indented. An HTTP
exchange and raw data end with an empty line and contain none, so `awk 'BEGIN {RS=""} /pattern/'` finds
whole messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.escape import escape
from pellucid.model import ConnectionEvent, Http, Lost, OnConnection, RawData, Request, Response, Summary
from pellucid.sink.base import Sink
from pellucid.sink.json import encode_into
from pellucid.sink.payload import count, payload_lines
from pellucid.sink.style import painter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.model import Headers, Message
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output
    from pellucid.sink.style import Style

_NOUNS = {"http": "HTTP exchange", "data": "data message", "websocket": "WebSocket message"}
_ASIDES = {"connection", "lost"}
"""Not what people count: connections are not shown unless asked for, and what is lost has its own line."""

_UNITS = {"untracked_calls": "call", "unfollowed_forks": "fork"}
"""Reasons of a loss that do not count bytes, since these are not known (`model.Totals`)."""
_INCOMPLETE = "INCOMPLETE: the stream ends here, what follows was not recorded"


class TextSink(Sink):
    """Shows each message as a heading and its payload; connections only when `verbose`."""

    format = "text"

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._paint = painter(options.color)

    def write(self, message: Message) -> None:
        """Append the message's lines, in UTF-8; all of them at once."""
        self._append("".join([f"{line}\n" for line in self._lines(message)]).encode())

    def _lines(self, message: Message) -> Iterable[str]:
        match message:
            case Http():
                return self._exchange(message)
            case RawData():
                return self._data(message)
            case Lost():
                return self._lost(message)
            case ConnectionEvent():
                return self._connection(message) if self._options.verbose else ()
            case Summary():
                return self._summary(message)
            case _:
                return self._other(message)

    # --- messages ----------------------------------------------------------------------------------

    def _exchange(self, message: Http) -> Iterator[str]:
        stream = f" stream {message.stream}" if message.stream is not None else ""
        took = "" if message.duration_ms is None else f" {message.duration_ms:.1f} ms"
        yield self._heading(message, f"{message.protocol}{stream}{took}")
        if message.request is None:
            yield self._note("no request seen")
        else:
            yield from self._request(message.request, message.protocol)
        if message.response is None:
            yield self._note("no response seen")
        else:
            yield from self._response(message.response, message.protocol)
        if message.truncated:
            yield self._note("truncated: a body is longer than what was kept")
        if message.error is not None:
            yield self._note(f"error: {message.error}", "warning")
        yield ""

    def _data(self, message: RawData) -> Iterator[str]:
        size = count(message.size, "byte")
        yield self._heading(message, f"{message.direction} {size} at offset {message.offset}")
        yield from payload_lines(message.data, self._options, self._paint, base=message.offset)
        yield ""

    def _lost(self, message: Lost) -> Iterator[str]:
        if message.messages is not UNSET:
            size = f"{count(message.messages, 'message')} of {count(message.size, 'byte')}"
            yield f"{self._time(message)} {self._paint('warning', escape(f'LOST {size}: {message.reason}'))}"
            return
        where = "an unknown connection" if message.conn is None else f"conn {message.conn}"
        if message.direction is not None:
            where += f" {message.direction}"
        if message.offset is not None:
            where += f" at offset {message.offset}"
        size = (
            _lost_size(message.reason, message.size) if message.conn is None else count(message.size, "byte")
        )
        text = escape(f"LOST {size} on {where}: {message.reason}")
        yield f"{self._time(message)} {self._paint('warning', text)}"

    def _connection(self, message: ConnectionEvent) -> Iterator[str]:
        older = " before the capture" if message.started == "mid" else ""
        yield self._heading(message, f"{message.event}{older if message.event == 'opened' else ''}")

    def _summary(self, message: Summary) -> Iterator[str]:
        yield f"{self._time(message)} {self._paint('who', escape(_captured(message)))}"
        sizes = ", ".join(f"{_lost_size(reason, size)} ({reason})" for reason, size in message.lost.items())
        lost = self._paint("warning", escape(f"LOST {sizes}")) if sizes else "nothing lost"
        yield f"{self._time(message)} {lost}"
        if message.undecided:
            undecided = (
                f"undecided: {count(message.undecided, 'connection')} whose address was not known in time"
            )
            yield f"{self._time(message)} {self._paint('warning', undecided)}"
        if not message.complete:
            yield f"{self._time(message)} {self._paint('warning', _INCOMPLETE)}"

    def _other(self, message: Message) -> Iterator[str]:
        """Show a message of a plug-in, which this sink cannot know, as its JSON."""
        line = bytearray()
        encode_into(message, line)
        yield f"{self._time(message)} {escape(line.decode())}"

    # --- their parts -------------------------------------------------------------------------------

    def _time(self, message: Message) -> str:
        """Time of day in UTC, to the millisecond: the same on every machine of an incident."""
        return self._paint("time", message.ts[11:23])

    def _heading(self, message: OnConnection, facts: str) -> str:
        who = self._paint("who", escape(f"{message.comm}[{message.pid}]"))
        ends = f"{message.src or '?'} -> {message.dst or '?'}"
        rest = escape(f"{message.role or '?'} {ends} {message.library} conn {message.conn} {facts}")
        return f"{self._time(message)} {who} {rest}"

    def _note(self, text: str, style: Style = "note") -> str:
        return self._paint(style, f"[{escape(text)}]")

    def _request(self, request: Request, protocol: str) -> Iterator[str]:
        mark = self._paint("request", ">")
        yield f"{mark} {self._paint('request', escape(f'{request.method} {request.url} {protocol}'))}"
        if request.authority and not _header(request.headers, "host"):
            yield from self._headers(mark, [(":authority", request.authority)])
        yield from self._rest(mark, request)

    def _response(self, response: Response, protocol: str) -> Iterator[str]:
        style = _status_style(response.status)
        mark = self._paint(style, "<")
        line = f"{protocol} {response.status} {response.reason}".rstrip()
        yield f"{mark} {self._paint(style, escape(line))}"
        yield from self._rest(mark, response)

    def _rest(self, mark: str, half: Request | Response) -> Iterator[str]:
        """What follows a start line: headers, body and trailers, each set apart by a bare mark."""
        yield from self._headers(mark, half.headers)
        if half.body:
            yield mark
            media = _header(half.headers, "content-type") or "binary data"
            yield from payload_lines(half.body, self._options, self._paint, media=media)
        if half.sha256 is not UNSET:
            yield self._note(f"{count(half.size, 'byte')} sent, SHA-256 {half.sha256}")
        if half.trailers is not UNSET:
            yield mark
            yield from self._headers(mark, half.trailers)

    def _headers(self, mark: str, headers: Headers) -> Iterator[str]:
        for name, value in headers:
            yield f"{mark} {self._paint('name', escape(name))}: {escape(value)}"


def _header(headers: Headers, wanted: str) -> str | None:
    """Return the first value of a header; names have no case (RFC 9110 section 5.1)."""
    return next((value for name, value in headers if name.lower() == wanted), None)


def _status_style(status: int) -> Style:
    """Colour by class of status code (RFC 9110 section 15)."""
    if status < 400:
        return "success"
    return "note" if status < 500 else "failure"


def _captured(message: Summary) -> str:
    """Say what was captured: messages, or the bytes that were kept where no message was made of them."""
    shown = {kind: number for kind, number in message.captured.items() if kind not in _ASIDES}
    kinds = ", ".join(count(number, _NOUNS.get(kind, kind)) for kind, number in shown.items())
    lost = sum(size for reason, size in message.lost.items() if reason not in _UNITS)
    seconds, targets = f"{message.seconds:.1f} s", count(message.targets, "target")
    if not kinds and message.bytes > lost:
        return f"captured {count(message.bytes - lost, 'byte')} in {seconds} from {targets}"
    return f"captured {kinds or 'nothing'} in {seconds}: {count(message.bytes, 'byte')} from {targets}"


def _lost_size(reason: str, number: int) -> str:
    """Say how much was lost, in the unit of its reason."""
    return count(number, _UNITS.get(reason, "byte"))
