"""The secrets that a file of packets has: each once, and of the latest connections those that the next file begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.errors import FormatError
from pellucid.log import log
from pellucid.model import LABELS, key_log_line, random_of

if TYPE_CHECKING:
    from pellucid.model import Secret

MOST_LINES = 64
"""Of one connection. A full handshake has eight, early data's and RSA's with it; each key update, which the other end may
ask for as often as it likes, has two more, and these follow from the first (RFC 8446 section 7.2)."""

MOST_BYTES = 512 << 10
"""Of all lines that are kept, some 650 connections. Less than the smallest `--rotate-size`, for each file begins with them."""

_DONE = {
    1 << LABELS.index("CLIENT_RANDOM"),
    1 << LABELS.index("CLIENT_TRAFFIC_SECRET_0") | 1 << LABELS.index("SERVER_TRAFFIC_SECRET_0"),
}
"""Either set of labels is all that packets wait for; `are_all` of bpf/hold.h."""


class _Connection:
    __slots__ = ("labels", "lines", "size")

    def __init__(self) -> None:
        self.lines: dict[bytes, None] = {}
        self.labels = 0
        """A bit for each label that has come."""
        self.size = 0


class Secrets:
    """Lines of a key log by the client's random; of too many the oldest connection's are forgotten."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Connection] = {}
        self._size = 0
        self._said = False

    def add(self, secret: Secret) -> bytes | None:
        """Its line, if that is new: either end of a connection tells the same. FormatError for an unknown label."""
        if secret.label >= len(LABELS):
            raise FormatError(f"a record has the label {secret.label}, which does not exist")
        line = key_log_line(LABELS[secret.label], random_of(secret).hex(), secret.bytes.hex())
        connection = self._known.setdefault(bytes(secret.random), _Connection())
        if line in connection.lines:
            return None
        if len(connection.lines) >= MOST_LINES:
            self._say_too_many(secret)
            return None
        connection.lines[line] = None
        connection.labels |= 1 << secret.label
        connection.size += len(line)
        self._size += len(line)
        while self._size > MOST_BYTES:
            self._size -= self._known.pop(next(iter(self._known))).size
        return line

    def _say_too_many(self, secret: Secret) -> None:
        if self._said:
            return
        self._said = True
        log.info(
            "%s[%d] has told %d secrets of one connection: the file has no further ones, of this and of such connections"
            " (those of key updates follow from the first)",
            secret.comm.split(b"\0", 1)[0].decode(errors="replace"),
            secret.pid,
            MOST_LINES,
        )

    def some(self, random: bytes) -> bool:
        """Whether any secret of a connection is known."""
        return random in self._known

    def all(self, random: bytes) -> bool:
        """Whether those are known that its packets wait for."""
        connection = self._known.get(random)
        return connection is not None and any(connection.labels & done == done for done in _DONE)

    def lines(self) -> bytes:
        """All that are kept."""
        return b"".join(line for connection in self._known.values() for line in connection.lines)
