"""Entries of WebSockets, which grow as long as these say more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.sink.har_file import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_OPEN = 4 << 20
"""Bytes of entries that may wait for further messages: each flush writes them anew, each connection that closes looks
through them."""

Key = tuple[int, int | None]
"""Connection, and stream of HTTP/2."""

_MESSAGES = b',"_webSocketMessages":['
_END = b"]}"
_TRUNCATED_END = b'],"_truncated":true}'


class OpenEntry:
    """One of them."""

    __slots__ = ("_messages_at", "seen", "text")

    def __init__(self, exchange: bytes, *, seen: bool) -> None:
        self.text = bytearray()
        """As it is in the file, whole."""
        self._messages_at = 0
        self.handshake(exchange)
        self.seen = seen
        """Whether the handshake was; HTTP/2 tells of it when the stream ends, after the messages."""

    @property
    def size(self) -> int:
        """Bytes of it in the file, with what parts it from the one before it."""
        return len(self.text) + len(SEPARATOR)

    def add(self, message: bytes | bytearray) -> None:
        """Append an encoded message."""
        del self.text[-len(_END) :]
        if len(self.text) > self._messages_at:
            self.text += b","
        self.text += message
        self.text += _END

    def handshake(self, exchange: bytes) -> None:
        """Take the exchange that was not seen until now, and keep the messages."""
        messages = self.text[self._messages_at :] or _END
        self.text = bytearray().join((exchange.removesuffix(b"}"), _MESSAGES, messages))
        self._messages_at = len(self.text) - len(messages)
        self.seen = True

    def forget(self) -> None:
        """Drop the messages: they are in an earlier file."""
        self.text[self._messages_at :] = _END

    def truncate(self) -> None:
        """Say that more follows which is not here."""
        self.text[-len(_END) :] = _TRUNCATED_END


class OpenEntries:
    """All that are open; `settle` is called with each that will not change any more."""

    def __init__(self, settle: Callable[[bytearray], None]) -> None:
        self._settle = settle
        self._entries: dict[Key, OpenEntry] = {}
        self._full: dict[Key, bool] = {}
        """WebSockets that go on, but whose entries were settled because too much was open: whether the handshake is there."""
        self.size = 0
        """Bytes of all entries."""
        self.left_out = 0
        """Messages that came after that."""
        self.handshakes_left_out = 0
        """Handshakes that did."""

    def __contains__(self, key: Key) -> bool:
        return key in self._entries or key in self._full

    def lacks_handshake(self, key: Key) -> bool:
        """Whether there is an entry that was made of messages alone."""
        return key in self._entries and not self._entries[key].seen

    def open(self, key: Key, exchange: bytes, *, seen: bool) -> None:
        """Begin an entry."""
        self._entries[key] = OpenEntry(exchange, seen=seen)
        self.size += self._entries[key].size
        self._bound()

    def complete(self, key: Key, exchange: bytes) -> None:
        """Settle an entry with the handshake that it lacked."""
        entry = self._remove(key)
        entry.handshake(exchange)
        self._settle(entry.text)

    def leave_out(self, key: Key) -> bool:
        """Count a message, and say so, if its entry is settled already."""
        self.left_out += key in self._full
        return key in self._full

    def leave_out_handshake(self, key: Key) -> bool:
        """Count a handshake, and say so, if the entry of its messages is settled already."""
        late = not self._full.get(key, True)
        if late:
            self._full[key] = True
            self.handshakes_left_out += 1
        return late

    def add(self, key: Key, message: bytes | bytearray) -> None:
        """Append a message to its entry, which is open."""
        entry = self._entries[key]
        self.size -= entry.size
        entry.add(message)
        self.size += entry.size
        self._bound()

    def close(self, conn: int) -> None:
        """Settle the entries of a connection."""
        for key in [key for key in self._entries if key[0] == conn]:
            self._settle(self._remove(key).text)
        for key in [key for key in self._full if key[0] == conn]:
            del self._full[key]

    def forget(self) -> None:
        """Drop all messages, and keep the entries for those to come."""
        for entry in self._entries.values():
            entry.forget()
        self.size = sum(entry.size for entry in self._entries.values())

    @property
    def texts(self) -> list[bytearray]:
        """All entries as they are now."""
        return [entry.text for entry in self._entries.values()]

    def _bound(self) -> None:
        """Settle the longest as long as too much is open."""
        while self.size > MAX_OPEN:
            key = max(self._entries, key=lambda key: self._entries[key].size)
            entry = self._remove(key)
            entry.truncate()
            self._settle(entry.text)
            self._full[key] = entry.seen

    def _remove(self, key: Key) -> OpenEntry:
        entry = self._entries.pop(key)
        self.size -= entry.size
        return entry
