"""HAR 1.2, for the network panels of browsers: each exchange is an entry, in the order in which they end.

The file is a whole document after every flush (`har_file.py`). WebSocket messages belong into the entry of their
handshake, so that entry stays open: it is written anew, after all that is settled, until its connection ends or too
many bytes are open.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from pellucid.model import ConnectionEvent, Http, Lost, OnConnection, Request, Summary, WebSocket
from pellucid.sink.base import Sink
from pellucid.sink.har_entry import entry_of, websocket_message_of
from pellucid.sink.har_file import HarFile
from pellucid.sink.har_model import Creator
from pellucid.sink.json import encode_into

if TYPE_CHECKING:
    from pellucid.model import Message
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output

MAX_OPEN = 1 << 20
"""Bytes of entries that wait for further WebSocket messages: each flush writes them anew, each connection that closes
looks through them."""
_MAX_WAITING = 256 * 1024
"""Bytes of settled entries that are kept until a flush."""

# Here, since the decoder may not read files.
_CREATOR = msgspec.json.encode(Creator("Pellucid", version("pellucid")))
_HEAD = b'{"log":{"version":"1.2","creator":%b,"pages":[],"entries":[' % _CREATOR

_Key = tuple[int, int | None]
"""Connection, and stream of HTTP/2."""


class _Open:
    """The entry of a WebSocket that may say more."""

    __slots__ = ("exchange", "messages", "seen")

    def __init__(self) -> None:
        self.seen = True
        """Whether the handshake was; HTTP/2 tells of it when the stream ends, after the messages."""
        self.exchange = b""
        """The entry without its messages, encoded."""
        self.messages = bytearray()
        """Encoded, with commas between them."""

    @property
    def size(self) -> int:
        """Bytes of memory, and of the file."""
        return len(self.exchange) + len(self.messages)

    def encoded(self, *, truncated: bool = False) -> bytes:
        """The entry with its messages."""
        end = b'],"_truncated":true}' if truncated else b"]}"
        return b'%b,"_webSocketMessages":[%b%b' % (
            self.exchange.removesuffix(b"}"),
            bytes(self.messages),
            end,
        )


class HarSink(Sink):
    """Exchanges and WebSocket messages; of the rest, what was lost is told in the log's comment."""

    format = "har"
    needs_file = True

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._file: HarFile | None = None
        self._open: dict[_Key, _Open] = {}
        self._open_size = 0
        self._full: set[_Key] = set()
        """WebSockets that go on, but whose entries were settled because too much was open."""
        self._left_out = 0
        """Their messages since then."""
        self._lost: Counter[str] = Counter()
        self._complete = True
        self._changed = False
        self._line = bytearray()

    def begin(self) -> None:
        """Write an empty log; entries that are open go on in this file, with what they say from now on."""
        self._output.require_rewritable(self.format)
        self._file = HarFile(self._output, _HEAD, self._tail())
        for entry in self._open.values():
            entry.messages.clear()
        self._open_size = sum(entry.size for entry in self._open.values())
        self._changed = bool(self._open)

    def write(self, message: Message) -> None:
        """Keep an exchange for the next flush, or write it if much is kept."""
        match message:
            case Http():
                self._exchange(message)
            case WebSocket():
                self._websocket(message)
            case ConnectionEvent(event="closed"):
                self._closed(message.conn)
            case Lost():
                self._lost[message.reason] += message.size
            case Summary():
                self._lost, self._complete = Counter(message.lost), message.complete
            case _:
                return
        self._changed = True
        if self._document.waiting > _MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Make the file a document that holds everything written so far; raises as `write` does."""
        if self._changed:
            self._changed = False
            self._document.flush([entry.encoded() for entry in self._open.values()], self._tail())

    def finish(self) -> None:
        """Flush: the document is whole without an end."""
        if self._file:
            self.flush()

    @property
    def _document(self) -> HarFile:
        assert self._file, "begin() comes first"
        return self._file

    def _exchange(self, message: Http) -> None:
        key = message.conn, message.stream
        if _opens_websocket(message):
            self._handshake(key, message)
            self._bound()
        elif key in self._open and not self._open[key].seen:
            self._handshake(key, message)
            self._settle(key)
        else:
            encode_into(entry_of(message), self._line)
            self._document.add(self._line)

    def _handshake(self, key: _Key, message: Http, *, seen: bool = True) -> None:
        encode_into(entry_of(message, websocket=True), self._line)
        entry = self._open.setdefault(key, _Open())
        self._open_size += len(self._line) - len(entry.exchange)
        entry.exchange, entry.seen = bytes(self._line), seen

    def _websocket(self, message: WebSocket) -> None:
        key = message.conn, message.stream
        if key in self._full:
            self._left_out += 1
            return
        if key not in self._open:
            self._handshake(key, _unseen_handshake(message), seen=False)
        encode_into(websocket_message_of(message), self._line)
        entry = self._open[key]
        entry.messages += b"," + self._line if entry.messages else self._line
        self._open_size += len(self._line) + (len(entry.messages) > len(self._line))
        self._bound()

    def _bound(self) -> None:
        """Settle the longest open entry as long as too much is open."""
        while self._open_size > MAX_OPEN:
            key = max(self._open, key=lambda key: self._open[key].size)
            self._settle(key, truncated=True)
            self._full.add(key)

    def _closed(self, conn: int) -> None:
        for key in [key for key in self._open if key[0] == conn]:
            self._settle(key)
        for key in [key for key in self._full if key[0] == conn]:
            self._full.remove(key)

    def _settle(self, key: _Key, *, truncated: bool = False) -> None:
        entry = self._open.pop(key)
        self._open_size -= entry.size
        self._document.add(entry.encoded(truncated=truncated))

    def _tail(self) -> bytes:
        """The end of the document: what is missing is said there, since no entry can."""
        comments = []
        if self._lost:
            comments.append("lost: " + ", ".join(f"{size} ({reason})" for reason, size in self._lost.items()))
        if self._left_out:
            comments.append(f"{self._left_out} WebSocket messages left out: their entries were too long")
        if not self._complete:
            comments.append("incomplete: the capture broke off")
        comment = b',"comment":%b' % msgspec.json.encode("; ".join(comments)) if comments else b""
        return b"\n]%b}}\n" % comment


def _opens_websocket(message: Http) -> bool:
    """Whether it is a handshake of HTTP/1 that was accepted (RFC 6455 section 4.2.2)."""
    response = message.response
    if response is None or response.status != 101:
        return False
    return any(name.lower() == "upgrade" and value.lower() == "websocket" for name, value in response.headers)


def _unseen_handshake(message: WebSocket) -> Http:
    """The exchange that must have been before, as far as its messages tell of it."""
    shared = {name: getattr(message, name) for name in OnConnection.__struct_fields__}
    return Http(
        **shared,
        protocol="HTTP/1.1" if message.stream is None else "HTTP/2",
        stream=message.stream,
        request=Request(method="GET", url=message.url, authority=None, headers=[]) if message.url else None,
        response=None,
        duration_ms=None,
        error="the handshake was not seen",
    )
