"""Packets of the client/server protocol of MySQL and MariaDB, and what is in them.

The field layouts are those of MySQL's "Client/Server Protocol" pages and MariaDB's "Client/Server Protocol" articles.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from pellucid.model import QueryError
from pellucid.parse.sql.fields import Fields
from pellucid.parse.sql.frames import BrokenError, Frame, Header

LONGEST = 0xFFFFFF
"""Bytes of a frame whose packet goes on in the next one."""

OK, MORE_AUTH, NULL, EOF, ERR = 0x00, 0x01, 0xFB, 0xFE, 0xFF
"""First bytes of packets of the server; `NULL` is also a request for a local file."""

_PROGRESS = 0xFFFF
"""MariaDB's number of an error that is none, but tells how far a command has come."""

_DEFINITION = b"\x03def"
"""How the definition of a column begins: the catalogue."""

_UNKNOWN_COUNT = (1 << 64) - 1
"""Rows that a statement has changed, where the server does not know."""


class Can(enum.IntFlag):
    """Capabilities of the client that change what is read here (MySQL's mysql_com.h, MariaDB's the same)."""

    CONNECT_WITH_DB = 1 << 3
    COMPRESS = 1 << 5
    PROTOCOL_41 = 1 << 9
    TLS = 1 << 11
    SECURE_CONNECTION = 1 << 15
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC = 1 << 21
    DEPRECATE_EOF = 1 << 24
    ZSTD_COMPRESSION = 1 << 26
    QUERY_ATTRIBUTES = 1 << 27


class Status(enum.IntFlag):
    """Flags of OK and EOF packets."""

    MORE_RESULTS = 0x0008
    CURSOR_EXISTS = 0x0040
    SESSION_CHANGED = 0x4000


_KNOWN_CAN, _KNOWN_STATUS = sum(Can), sum(Status)
"""All of them: enum remembers each combination that it ever saw, so flags that are unknown here must not come in."""


class Assembly:
    """Puts the frames of one direction together to packets: one of 16 MiB and more has several."""

    __slots__ = ("_begun", "_keep")

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._begun: Frame | None = None

    def add(self, frame: Frame) -> Frame | None:
        """Take the next frame; return the packet where that was its last one. Raises `BrokenError`."""
        packet = self._joined(self._begun, frame) if self._begun else frame
        self._begun = packet if frame.size == LONGEST else None
        return None if self._begun else packet

    def clear(self) -> None:
        """Forget what was begun."""
        self._begun = None

    @property
    def held(self) -> int:
        """Bytes of memory that a packet takes whose end has not come."""
        return len(self._begun.payload) if self._begun else 0

    def _joined(self, begun: Frame, frame: Frame) -> Frame:
        if frame.type != (begun.last + 1) % 256:
            raise BrokenError("a packet out of order")
        payload = begun.payload
        if begun.whole:
            payload += frame.payload[: max(0, self._keep - len(payload))]
        size, lost = begun.size + frame.size, begun.lost + frame.lost
        return Frame(begun.type, frame.type, payload, size, lost, begun.began, frame.ended)


def is_eof(packet: Frame) -> bool:
    """Say whether it is EOF as it was before DEPRECATE_EOF: an OK packet in its place has seven bytes at least."""
    return packet.size == 5 and packet.payload[:1] == b"\xfe"


def read_header(data: bytes | bytearray, at: int, keep: int) -> Header | None:
    """Read a frame's header: three bytes of length and a sequence number."""
    if len(data) - at < 4:
        return None
    return Header(4, data[at + 3], int.from_bytes(data[at : at + 3], "little"), keep)


class Reader(Fields):
    """Takes MySQL's fields off a payload."""

    __slots__ = ()

    def integer(self, size: int) -> int:
        """Take an integer of so many bytes."""
        return int.from_bytes(self.take(size), "little")

    def number(self) -> int:
        """Take a length-encoded integer."""
        first = self.integer(1)
        if first < NULL:
            return first
        if first not in _WIDTHS:
            raise BrokenError("no length")
        return self.integer(_WIDTHS[first])

    def counted(self) -> bytes:
        """Take a length-encoded string."""
        return self.take(self.number())


_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class Ok(NamedTuple):
    """An OK or EOF packet."""

    rows: int | None
    """Rows that were changed; null where it does not say."""
    status: Status
    schema: str | None = None
    """The new database; empty where there is none any more; null where it stays."""


def read_ok(packet: Frame) -> Ok:
    """Read an OK packet, or EOF."""
    if packet.lost:
        raise BrokenError("bytes were lost")
    reader = Reader(packet.payload)
    reader.take(1)
    if is_eof(packet):
        reader.take(2)
        return Ok(None, Status(reader.integer(2) & _KNOWN_STATUS))
    rows, _ = reader.number(), reader.number()
    status = Status(reader.integer(2) & _KNOWN_STATUS)
    reader.take(2)
    schema = _read_schema(reader) if Status.SESSION_CHANGED in status and packet.whole else None
    return Ok(None if rows == _UNKNOWN_COUNT else rows, status, schema)


def _read_schema(reader: Reader) -> str | None:
    """Look for SESSION_TRACK_SCHEMA (type 1) in what has changed of the session; the last one counts."""
    reader.counted()
    changes = Reader(reader.counted())
    schema = None
    while changes.left:
        kind, change = changes.integer(1), Reader(changes.counted())
        if kind == 1:
            schema = name_text(change.counted())
    return schema


def name_text(name: bytes) -> str:
    """Show the name of a user or a database."""
    return name.decode(errors="backslashreplace")


def read_error(packet: Frame) -> QueryError | None:
    """Read an ERR packet; null where it only tells how far the command has come."""
    reader = Reader(packet.payload)
    reader.take(1)
    code = reader.integer(2)
    if code == _PROGRESS:
        return None
    text = reader.rest()
    if text[:1] != b"#":
        return QueryError(code=str(code), message=text.decode(errors="backslashreplace"))
    state = text[1:6].decode("ascii", errors="backslashreplace")
    return QueryError(code=str(code), message=text[6:].decode(errors="backslashreplace"), sqlstate=state)


def is_definition(packet: Frame) -> bool:
    """Say whether it defines a column."""
    return packet.payload.startswith(_DEFINITION)


class Login(NamedTuple):
    """HandshakeResponse41, without what proves who it is."""

    can: Can
    user: str
    database: str | None


def read_login(payload: bytes) -> Login:
    """Read who logs in."""
    reader = Reader(payload)
    can = Can(reader.integer(4) & _KNOWN_CAN)
    reader.take(4 + 1 + 23)  # the longest packet, the character set, a filler with MariaDB's capabilities
    user = reader.string()
    if Can.PLUGIN_AUTH_LENENC in can:
        reader.counted()
    elif Can.SECURE_CONNECTION in can:
        reader.take(reader.integer(1))
    else:
        reader.string()
    return Login(can, name_text(user), _read_database(reader) if Can.CONNECT_WITH_DB in can else None)


def read_user(payload: bytes, can: Can) -> Login:
    """Read COM_CHANGE_USER, after its first byte."""
    reader = Reader(payload)
    user = reader.string()
    if Can.SECURE_CONNECTION in can:
        reader.take(reader.integer(1))
    else:
        reader.string()
    return Login(can, name_text(user), _read_database(reader))


def _read_database(reader: Reader) -> str | None:
    return name_text(reader.string()) or None
