"""Messages of PostgreSQL's protocol 3 (the manual, "Message Formats"): how they begin, and what is in them."""

from __future__ import annotations

import re
import struct
from array import array
from typing import NamedTuple

from pellucid.model import QueryError
from pellucid.parse.protocol import Verdict
from pellucid.parse.sql.command import SqlText, begins_statement, may_begin_statement
from pellucid.parse.sql.fields import Fields
from pellucid.parse.sql.frames import BrokenError, Frame, Header

CANCEL, SSL, GSS = 80877102, 80877103, 80877104
"""Codes in place of a version: CancelRequest, SSLRequest, GSSENCRequest."""

MAJOR = 3
"""The version of the protocol that servers since 7.4 speak."""

_VERSION_3 = b"\x00\x03\x00"
_CODES = b"\x04\xd2\x16"
"""How the codes above begin."""

_MAX_STARTUP = 10_000
"""MAX_STARTUP_PACKET_LENGTH of src/include/libpq/pqcomm.h."""

_MAX_SMALL = 30_000
"""PQ_SMALL_MESSAGE_LIMIT there: of messages that carry neither text nor data."""

_MAX_LARGE = 0x3FFFFFFF
"""PQ_LARGE_MESSAGE_LIMIT: MaxAllocSize."""

_MID_LENGTHS = b"\0\1\2\3"
"""First bytes of the length of a command that is taken for a beginning: below 64 MiB."""

_MAX_NAME = 256
"""Bytes of the name of a statement or a portal: the server tells apart the first 63 (NAMEDATALEN), drivers use less."""

_MAX_DIGITS = 20
"""Of the largest number of 64 bits, as which the server counts rows (`uint64 nprocessed` of cmdtag.h)."""

_PASSWORD = b"p\0\0"
_SASL = (b"SCRAM-", b"c=")
"""How the messages of RFC 5802 begin that a client sends: the mechanism's name before the first, the channel binding."""

_PARAMETER = re.compile(rb"[a-z_][A-Za-z0-9_.]{0,62}\0")
_PARAMETER_BEGINS = re.compile(rb"(?:[a-z_][A-Za-z0-9_.]{0,62})?")

_LENGTH = struct.Struct("!I")
_HEADER = struct.Struct("!BI")

_FROM_CLIENT = dict.fromkeys(b"QPBFdp", _MAX_LARGE) | dict.fromkeys(b"DECSHXcf", _MAX_SMALL)
_FROM_SERVER = dict.fromkeys(b"DTdENAVvSCt", _MAX_LARGE) | dict.fromkeys(b"123nsIZRKGHWc", _MAX_SMALL)
_DATA, _ROWS = b"d", b"Dd"
"""What is not read: data of COPY, rows."""


def client_header(data: bytes | bytearray, at: int, keep: int) -> Header | None:
    """Read the header of a message of the client."""
    return _header(data, at, _FROM_CLIENT, _DATA, keep)


def server_header(data: bytes | bytearray, at: int, keep: int) -> Header | None:
    """Read the header of a message of the server."""
    return _header(data, at, _FROM_SERVER, _ROWS, keep)


def startup_header(data: bytes | bytearray, at: int, keep: int) -> Header | None:
    """Read the length of a message of the client before it has said a version: it has no letter."""
    if len(data) - at < 4:
        return None
    (length,) = _LENGTH.unpack_from(data, at)
    if not 8 <= length <= _MAX_STARTUP:
        raise BrokenError("a startup message of impossible length")
    return Header(4, 0, length - 4, keep)


def _header(
    data: bytes | bytearray, at: int, known: dict[int, int], unread: bytes, keep: int
) -> Header | None:
    if len(data) - at < 5:
        if len(data) > at and data[at] not in known:
            raise BrokenError("a message of no known type")
        return None
    letter, length = _HEADER.unpack_from(data, at)
    if not 4 <= length <= known.get(letter, 0):
        raise BrokenError("a message of no known type, or of impossible length")
    return Header(5, letter, length - 4, 0 if letter in unread else keep)


class Reader(Fields):
    """Takes PostgreSQL's fields off a payload."""

    __slots__ = ()

    def short(self) -> int:
        """Take an Int16, of which the protocol uses all 16 bits."""
        return int.from_bytes(self.take(2))

    def long(self) -> int:
        """Take an Int32 without a sign."""
        return int.from_bytes(self.take(4))

    def shorts(self, number: int) -> array[int]:
        """Take so many Int16 without a sign, two bytes each in memory too."""
        return array("H", struct.unpack(f"!{number}H", self.take(2 * number)))

    def longs(self, number: int) -> array[int]:
        """Take so many Int32 without a sign, four bytes each in memory too."""
        return array("I", struct.unpack(f"!{number}I", self.take(4 * number)))

    def size(self) -> int:
        """Take the length of a value; -1 is NULL."""
        return int.from_bytes(self.take(4), signed=True)

    def name(self) -> bytes:
        """Take the name of a statement or a portal."""
        name = self.string()
        if len(name) > _MAX_NAME:
            raise BrokenError("a name that is too long")
        return name


class Parse(NamedTuple):
    """Parse ('P')."""

    name: bytes
    text: SqlText
    types: array[int]
    """OIDs of parameters as far as the client gives them; 0 is not given."""


class Bind(NamedTuple):
    """Bind ('B')."""

    portal: bytes
    statement: bytes
    formats: array[int]
    """None: all text; one: of all; else one each. 0 is text, 1 binary."""
    number: int
    """Of the values."""
    values: bytes
    """Each with its length before it, behind them what is not wanted; the end may be cut."""


class Named(NamedTuple):
    """Describe ('D') and Close ('C')."""

    portal: bool
    """Else a statement."""
    name: bytes


def read_text(frame: Frame, most: int) -> SqlText:
    """Read Query ('Q')."""
    if frame.whole and not frame.payload.endswith(b"\0"):
        raise BrokenError("a text without an end")
    return SqlText(frame.payload, frame.size - 1, frame.lost).cut(min(most, frame.size - 1))


def read_parse(frame: Frame, most: int) -> Parse:
    """Read what is there of it."""
    reader = Reader(frame.payload)
    name = reader.name()
    if not frame.whole and b"\0" not in frame.payload[len(name) + 1 :]:
        text = SqlText(reader.rest(), frame.size - len(name) - 4, frame.lost)
        return Parse(name, text.cut(most), array("I"))
    query = reader.string()
    count = reader.short() if frame.whole else 0
    return Parse(name, SqlText(query, len(query)).cut(most), reader.longs(count))


def read_bind(payload: bytes) -> Bind:
    """Read all but the values, which are read when they are shown."""
    reader = Reader(payload)
    portal, statement = reader.name(), reader.name()
    formats = reader.shorts(reader.short())
    return Bind(portal, statement, formats, reader.short(), reader.rest())


def read_named(payload: bytes) -> Named:
    """Read Describe or Close."""
    reader = Reader(payload)
    what = reader.take(1)
    if what not in {b"S", b"P"}:
        raise BrokenError("neither a statement nor a portal")
    return Named(what == b"P", reader.name())


def read_portal(payload: bytes) -> bytes:
    """Read which portal Execute ('E') executes."""
    return Reader(payload).name()


def read_code(payload: bytes) -> int:
    """Read the version or the code of a message without a letter."""
    return Reader(payload).long()


def read_startup(payload: bytes) -> dict[str, str]:
    """Read the parameters of StartupMessage, after its version."""
    reader = Reader(payload[4:])
    parameters = {}
    while name := reader.string():
        value = reader.string()
        parameters[name.decode(errors="backslashreplace")] = value.decode(errors="backslashreplace")
    return parameters


def read_error(payload: bytes) -> QueryError:
    """Read ErrorResponse ('E'): fields by letter."""
    fields = {field[:1]: field[1:].decode(errors="backslashreplace") for field in payload.split(b"\0")}
    if b"C" not in fields:
        raise BrokenError("an error without a code")
    return QueryError(code=fields[b"C"], message=fields.get(b"M", ""))


def read_rows(payload: bytes) -> int | None:
    """Read the number of rows off the tag of CommandComplete ('C'): `SELECT 5`, `INSERT 0 5`.

    Raises `BrokenError` where it has more digits than a server's count.
    """
    if not payload.endswith(b"\0"):
        raise BrokenError("a text without an end")
    last = payload[:-1].rpartition(b" ")[2]
    if not last.isdigit():
        return None
    if len(last) > _MAX_DIGITS:  # int() itself refuses more than 4,300
        raise BrokenError("more rows than can be counted")
    return int(last)


def read_types(payload: bytes) -> array[int]:
    """Read ParameterDescription ('t')."""
    reader = Reader(payload)
    return reader.longs(reader.short())


def judge_startup(head: bytes) -> Verdict:
    """Say whether a connection begins here: StartupMessage of version 3, SSLRequest, GSSENCRequest or CancelRequest."""
    if not b"\0\0".startswith(head[:2]):
        return Verdict.NO
    if len(head) >= 4 and not 8 <= _LENGTH.unpack_from(head)[0] <= _MAX_STARTUP:
        return Verdict.NO
    code = head[4:7]
    if not (_VERSION_3.startswith(code) or _CODES.startswith(code)):
        return Verdict.NO
    if len(head) < 8:
        return Verdict.MORE
    if code == _VERSION_3:
        return _judge_parameter(head[8:])
    return Verdict.YES if _LENGTH.unpack_from(head, 4)[0] in {CANCEL, SSL, GSS} else Verdict.NO


def _judge_parameter(name: bytes) -> Verdict:
    """Want the name of a parameter: a request of Kafka can begin with the same eight bytes."""
    if _PARAMETER.match(name):
        return Verdict.YES
    return Verdict.MORE if _PARAMETER_BEGINS.fullmatch(name) else Verdict.NO


def judge_command(head: bytes) -> Verdict:
    """Say whether a Query, a Parse or a Bind begins here whose content leaves no doubt."""
    judge = _JUDGES.get(head[:1])
    if judge is None or head[1:2] not in _MID_LENGTHS:
        return Verdict.NO
    if len(head) < 5:
        return Verdict.MORE
    size = _LENGTH.unpack_from(head, 1)[0] - 4
    return judge(head[5 : 5 + size], size, head[5 + size :]) if size > 0 else Verdict.NO


def judge_password(head: bytes) -> Verdict:
    """Say whether PasswordMessage is all that begins here, or SASL's messages, which have the same letter ('p').

    The client waits for the answer, so nothing follows; a password ends with the only NUL. Its length is below 64 KiB
    (PG_MAX_AUTH_TOKEN_LENGTH of src/backend/libpq/auth.c).
    """
    if not _PASSWORD.startswith(head[:3]):
        return Verdict.NO
    if len(head) < 6:
        return Verdict.MORE
    size, text = _LENGTH.unpack_from(head, 1)[0] - 4, head[5:]
    if text.startswith(_SASL):
        return Verdict.YES if len(text) <= size else Verdict.NO
    whole = len(text) == size and text.endswith(b"\0") and b"\0" not in text[:-1]
    return Verdict.YES if whole or (len(text) < size and b"\0" not in text) else Verdict.NO


def _judge_query(payload: bytes, size: int, after: bytes) -> Verdict:  # noqa: ARG001
    return Verdict.NO if after else _judge_text(payload)


def _judge_parse(payload: bytes, size: int, after: bytes) -> Verdict:  # noqa: ARG001
    name, end, text = payload.partition(b"\0")
    if not _is_name(name):
        return Verdict.NO
    return _judge_text(text) if end else Verdict.MORE


def _judge_text(text: bytes) -> Verdict:
    if begins_statement(text):
        return Verdict.YES
    return Verdict.MORE if may_begin_statement(text) else Verdict.NO


def _judge_bind(payload: bytes, size: int, after: bytes) -> Verdict:
    """Want a whole Bind whose lengths add up, and what follows one: Describe, Execute or Sync."""
    if not all(_is_name(name) for name in payload.split(b"\0", 2)[:2]):
        return Verdict.NO
    if len(payload) == size and not _adds_up(payload):
        return Verdict.NO
    if after[:1] not in {b"", b"D", b"E", b"S"}:
        return Verdict.NO
    if len(after) < 5:
        return Verdict.MORE
    return Verdict.YES if _LENGTH.unpack_from(after, 1)[0] <= _MAX_SMALL else Verdict.NO


def _adds_up(payload: bytes) -> bool:
    try:
        bind = read_bind(payload)
        reader = Reader(bind.values)
        for _ in range(bind.number):
            reader.take(max(0, reader.size()))
        formats = [*bind.formats, *(reader.short() for _ in range(reader.short()))]
    except BrokenError:
        return False
    return not reader.left and max(formats, default=0) <= 1


def _is_name(name: bytes) -> bool:
    """Names of statements and portals have up to 63 bytes (NAMEDATALEN), by convention printable."""
    return len(name) < 64 and (not name or (name.isascii() and name.decode("ascii").isprintable()))


_JUDGES = {b"Q": _judge_query, b"P": _judge_parse, b"B": _judge_bind}
