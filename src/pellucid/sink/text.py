"""Text for people, at night: one paragraph a message, readable in a terminal and by grep and awk.

A line that begins with a time, `>`, `<` or `[` is Pellucid's own; captured payload is indented. A paragraph ends with an
empty line and contains none, so `awk 'BEGIN {RS=""} /pattern/'` finds whole messages. With `--quiet` a message is one line;
with `--body` payloads stand alone, as they were sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from msgspec import UNSET

from pellucid.escape import escape
from pellucid.model import (
    ConnectionEvent,
    Grpc,
    Http,
    KeyLogLine,
    Lost,
    OnConnection,
    Query,
    QueryShape,
    RawData,
    ServerSentEvent,
    Shell,
    Summary,
    WebSocket,
)
from pellucid.sink.base import Sink
from pellucid.sink.bodies import body_lines
from pellucid.sink.exchanges import exchange_lines
from pellucid.sink.inside import event_lines, grpc_lines, query_lines, shape_lines, websocket_lines
from pellucid.sink.json import encode_into
from pellucid.sink.page import Page
from pellucid.sink.payload import count
from pellucid.sink.quiet import quiet_line
from pellucid.sink.shells import quiet_command, shell_lines
from pellucid.sink.totals import lost_size, summary_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pellucid.model import Message
    from pellucid.settings import Mode
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output


class _Binary(NamedTuple):
    """Binary pieces of one direction that came one after the other: one line, not one a piece."""

    first: RawData
    pieces: int
    size: int


class TextSink(Sink):
    """Shows each message as a heading and its payload; connections only when `verbose`."""

    format = "text"
    not_with: ClassVar[Mapping[Mode, str]] = {
        "pcap": "of packets it would show nothing but the secrets that decrypt them; -k FILE keeps these, "
        "-o json:FILE says whose they are"
    }

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._page = Page(options)
        self._binary: _Binary | None = None
        self._paragraphs: dict[type[Message], Callable[[Page, Any], Iterable[str]]] = {
            Http: exchange_lines,
            WebSocket: websocket_lines,
            ServerSentEvent: event_lines,
            Grpc: grpc_lines,
            Query: query_lines,
            Shell: shell_lines,
            QueryShape: shape_lines,
            KeyLogLine: _secret_lines,
            RawData: _data_lines,
            Lost: _lost_lines,
            ConnectionEvent: _connection_lines if options.verbose else _nothing,
            Summary: summary_lines,
        }

    def write(self, message: Message) -> None:
        """Append the message's lines, in UTF-8; all of them at once."""
        if isinstance(message, RawData) and self._folds(message):
            self._fold(message)
            return
        self._unfold()
        self._put(self._lines(message))

    def flush(self) -> None:
        """Hand everything written so far to the kernel; raises as `write` does."""
        self._unfold()
        super().flush()

    def finish(self) -> None:
        """Write what is held back, before a rotation and at the end."""
        self._unfold()

    def _put(self, lines: Iterable[str]) -> None:
        self._append("".join([f"{line}\n" for line in lines]).encode())

    def _lines(self, message: Message) -> Iterable[str]:
        view = self._options.view
        if view == "quiet" and isinstance(message, Shell):
            return [quiet_command(self._page, message)]
        if view == "quiet" and isinstance(message, OnConnection) and not isinstance(message, ConnectionEvent):
            line = quiet_line(self._page, message)
            return _other_lines(self._page, message) if line is None else [line]
        if view == "body" and isinstance(message, OnConnection | Shell | Summary):
            return body_lines(self._page, message)
        return self._paragraphs.get(type(message), _other_lines)(self._page, message)

    # --- binary pieces -----------------------------------------------------------------------------

    def _folds(self, message: RawData) -> bool:
        return isinstance(message.data, bytes) and not self._options.hex and self._options.view != "quiet"

    def _fold(self, message: RawData) -> None:
        held = self._binary
        if held and (held.first.conn, held.first.direction) == (message.conn, message.direction):
            self._binary = held._replace(pieces=held.pieces + 1, size=held.size + message.size)
            return
        self._unfold()
        self._binary = _Binary(message, 1, message.size)

    def _unfold(self) -> None:
        """Write the line of what was held back: at the latest at the next flush, so nobody waits for it."""
        if self._binary is None:
            return
        first, pieces, size = self._binary
        self._binary = None
        several = "" if pieces == 1 else f" in {pieces} pieces"
        what = f"{count(size, 'byte')} of binary data{several} at offset {first.offset}"
        if self._options.view == "body":
            self._put([self._page.note(f"{what} (--hex shows them)")])
        else:
            self._put([self._page.heading(first, f"{first.direction} {what}")])


def _data_lines(page: Page, message: RawData) -> Iterator[str]:
    size = count(message.size, "byte")
    yield page.heading(message, f"{message.direction} {size} at offset {message.offset}")
    yield from page.payload(message.data, base=message.offset)
    yield ""


def _lost_lines(page: Page, message: Lost) -> Iterator[str]:
    if message.messages is not UNSET:
        size = f"{count(message.messages, 'message')} of {count(message.size, 'byte')}"
        yield f"{page.time(message)} {page.paint('warning', escape(f'LOST {size}: {message.reason}'))}"
        return
    where = "an unknown connection" if message.conn is None else f"conn {message.conn}"
    if message.direction is not None:
        where += f" {message.direction}"
    if message.offset is not None:
        where += f" at offset {message.offset}"
    size = lost_size(message.reason, message.size) if message.conn is None else count(message.size, "byte")
    yield f"{page.time(message)} {page.paint('warning', escape(f'LOST {size} on {where}: {message.reason}'))}"


def _connection_lines(page: Page, message: ConnectionEvent) -> Iterator[str]:
    older = " before the capture" if message.started == "mid" else ""
    tls = " ".join(filter(None, [message.tls, message.cipher, message.server_name, message.alpn]))
    opened = message.event == "opened"
    yield page.heading(
        message, f"{message.event}{older if opened else ''}{f' {tls}' if tls and opened else ''}"
    )


def _nothing(_page: Page, _message: Message) -> Iterable[str]:
    return ()


def _secret_lines(page: Page, message: KeyLogLine) -> Iterator[str]:
    line = f"{message.label} {message.client_random} {message.secret}"
    yield f"{page.time(message)} {page.who(message)} {line}"


def _other_lines(page: Page, message: Message) -> Iterator[str]:
    """Show a message of a plug-in, which this sink cannot know, as its JSON."""
    line = bytearray()
    encode_into(message, line)
    yield f"{page.time(message)} {escape(line.decode())}"
