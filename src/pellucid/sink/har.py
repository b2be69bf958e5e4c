"""HAR 1.2, for the network panels of browsers: each exchange is an entry, in the order in which they end.

The file is a whole document after every flush (`har_file.py`). WebSocket messages belong into the entry of their
handshake, so that entry stays open (`har_open.py`): it is written anew, after all that is settled, until its connection
ends or too many bytes are open.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

import msgspec

from pellucid.model import ConnectionEvent, Http, Lost, OnConnection, Request, Summary, WebSocket
from pellucid.sink.base import Sink
from pellucid.sink.har_entry import entry_of, websocket_message_of
from pellucid.sink.har_file import SEPARATOR, HarFile
from pellucid.sink.har_model import Creator
from pellucid.sink.har_open import OpenEntries
from pellucid.sink.json import encode_into
from pellucid.sink.totals import lost_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

    from pellucid.model import Message
    from pellucid.settings import Mode
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output

_MAX_WAITING = 256 * 1024
"""Bytes of settled entries that are kept until a flush."""

# Here, since the decoder may not read files.
_CREATOR = msgspec.json.encode(Creator("Pellucid", version("pellucid")))
_HEAD = b'{"log":{"version":"1.2","creator":%b,"pages":[],"entries":[' % _CREATOR


class HarSink(Sink):
    """Exchanges and WebSocket messages; of the rest, what was lost is told in the log's comment."""

    format = "har"
    kinds, content = frozenset({"http"}), "HTTP exchanges"
    not_with: ClassVar[Mapping[Mode, str]] = dict.fromkeys(
        ("keylog", "pcap", "shell", "sql"), "it holds HTTP, of which none is captured; say -o json:FILE"
    )
    needs_file = True

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._file: HarFile | None = None
        self._open = OpenEntries(self._settle)
        self._open_written = 0
        """Bytes of open entries that the file holds."""
        self._lost: Counter[str] = Counter()
        self._complete = True
        self._changed = False
        self._line = bytearray()

    def begin(self) -> None:
        """Write an empty log; entries that are open go on in this file, with what they say from now on."""
        self._output.require_rewritable(self.format)
        self._file = HarFile(self._output, _HEAD, self._tail())
        self._open.forget()
        self._open_written = 0
        self._changed = self._open.size > 0

    def write(self, message: Message) -> None:
        """Keep an exchange for the next flush, or write it if much is kept."""
        match message:
            case Http():
                self._exchange(message)
            case WebSocket():
                self._websocket(message)
            case ConnectionEvent(event="closed"):
                self._open.close(message.conn)
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
            self._document.flush(self._open.texts, self._tail())
            self._open_written = self._open.size

    def finish(self) -> None:
        """Flush, and take away the room for more."""
        if self._file:
            self.flush()
            self._file.trim()
            self._file = None

    @property
    def _document(self) -> HarFile:
        assert self._file, "begin() comes first"
        return self._file

    def _settle(self, entry: bytes | bytearray) -> None:
        self._document.add(entry)

    def _encode(self, value: Struct) -> bytearray:
        """The value in JSON, which may be the first in the next file; good until the next call."""
        encode_into(value, self._line)
        unwritten = self._document.waiting + self._open.size - self._open_written
        self._make_room(unwritten + len(self._line) + len(SEPARATOR))
        self._changed = True
        return self._line

    def _exchange(self, message: Http) -> None:
        key = message.conn, message.stream
        if self._open.leave_out_handshake(key):
            return
        handshake = key not in self._open and _opens_websocket(message)
        late = self._open.lacks_handshake(key)
        entry = self._encode(entry_of(message, websocket=handshake or late))
        if late:
            self._open.complete(key, bytes(entry))
        elif handshake:
            self._open.open(key, bytes(entry), seen=True)
        else:
            self._settle(entry)

    def _websocket(self, message: WebSocket) -> None:
        key = message.conn, message.stream
        if key not in self._open:
            entry = self._encode(entry_of(_unseen_handshake(message), websocket=True))
            self._open.open(key, bytes(entry), seen=False)
        if not self._open.leave_out(key):
            self._open.add(key, self._encode(websocket_message_of(message)))

    def _tail(self) -> bytes:
        """The end of the document: what is missing is said there, since no entry can."""
        comments = []
        if self._lost:
            comments.append(f"lost: {lost_sizes(self._lost)}")
        if self._open.left_out:
            comments.append(f"{self._open.left_out} WebSocket messages left out: their entries were too long")
        if self._open.handshakes_left_out:
            comments.append(f"{self._open.handshakes_left_out} handshakes of such entries left out")
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
