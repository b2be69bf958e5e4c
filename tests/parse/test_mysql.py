"""Dialogues in MySQL's protocol, and the messages that come of them."""

from __future__ import annotations

import struct
import zlib

import pytest
from dialogue import LOCAL, READ, REMOTE, START, WHO, WRITE, Dialogue, charged, connection, run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from pellucid.model import Chunk, Lost, Query, QueryError, RawData, Totals
from pellucid.parse import Limits, Parse
from pellucid.parse.http1.parser import Http1
from pellucid.parse.mysql.database import database_after_text
from pellucid.parse.mysql.packets import Can
from pellucid.parse.mysql.parser import MySql
from pellucid.parse.postgres.parser import Postgres
from pellucid.parse.protocol import Verdict

BASIC = Can.PROTOCOL_41 | Can.TLS | Can.SECURE_CONNECTION | Can.PLUGIN_AUTH | Can.CONNECT_WITH_DB
MODERN = BASIC | Can.DEPRECATE_EOF | Can.QUERY_ATTRIBUTES
MORE, CURSOR, CHANGED = 0x0008, 0x0040, 0x4000


def packet(sequence: int, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + body


def packets(first: int, *bodies: bytes) -> bytes:
    return b"".join(packet((first + at) % 256, body) for at, body in enumerate(bodies))


def counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def login(can=BASIC, sequence=2, database=b"shop") -> bytes:
    proof = counted(b"secret proof") + (database + b"\0" if Can.CONNECT_WITH_DB in can else b"")
    start = struct.pack("<IIB", can, 1 << 24, 45) + bytes(23)
    return packet(sequence, start, b"anna\0", proof, b"mysql_native_password\0")


def command(code: int, *fields: bytes) -> bytes:
    return packet(0, bytes([code]), *fields)


def query(text: str) -> bytes:
    return command(3, text.encode())


def ok(rows=0, status=2, changes=b"") -> bytes:
    info = b"\0" + counted(changes) if changes else b""
    return b"\0" + bytes([rows]) + b"\0" + struct.pack("<HH", status | (CHANGED if changes else 0), 0) + info


def last(status=2) -> bytes:
    """Return what ends rows where EOF is deprecated."""
    return b"\xfe\0\0" + struct.pack("<HH", status, 0)


def eof(status=2) -> bytes:
    return b"\xfe" + struct.pack("<HH", 0, status)


def failure(code: int, state: bytes, text: bytes) -> bytes:
    return b"\xff" + struct.pack("<H", code) + b"#" + state + text


def execute(statement: int, *fields: bytes, flags=0) -> bytes:
    return command(0x17, struct.pack("<IBI", statement, flags, 1), *fields)


def prepared(statement: int, columns: int, parameters: int) -> bytes:
    return b"\0" + struct.pack("<IHH", statement, columns, parameters) + bytes(3)


COLUMN = b"\x03def" + counted(b"shop") * 3 + counted(b"a") * 2 + b"\x0c" + bytes(12)
PING, QUIT = command(0x0E), command(0x01)
DONE = packets(1, ok())


def rows(number: int, *, old: bool, status=2) -> list[bytes]:
    """Return a result of one column."""
    return [
        b"\1",
        COLUMN,
        *([eof(status)] if old else []),
        *[b"\1x"] * number,
        (eof if old else last)(status),
    ]


def session(can=BASIC, **options) -> Dialogue:
    return Dialogue(parsers=(Http1, MySql, Postgres), **options) >> login(can) << packets(3, ok())


def after_login(talk: Dialogue) -> list[Query]:
    first, *others = talk.messages()
    assert ("connect", None) == (first.kind, first.failure)
    return others


def brief(messages) -> list[tuple]:
    """Return kind, text and rows of each command, other messages by their type."""
    return [(m.kind, m.query, m.rows) if isinstance(m, Query) else type(m).__name__ for m in messages]


def test_a_query_fills_every_field():
    """A query is shown with who asked, where, how many rows came and how long it took."""
    (shown,) = after_login(session() >> query("SELECT a FROM b") << packets(1, *rows(2, old=True)))
    expected = Query(
        ts="2023-11-14T22:13:20.003000Z",
        **WHO,
        server="mysql",
        user="anna",
        database="shop",
        kind="query",
        query="SELECT a FROM b",
        rows=2,
        duration_ms=1.0,
    )
    assert expected == shown


def test_the_login_is_a_message_without_its_password():
    """Who logs in is shown, whatever plug-ins exchange, and no byte of what proves it."""
    talk = Dialogue(parsers=(MySql,)) >> login() << packet(3, b"\xfecaching_sha2_password\0", bytes(20))
    talk = talk >> packet(4, b"x" * 32) << packet(5, b"\1\4") >> packet(6, b"secret\0") << packet(7, ok())
    (shown,) = talk.messages()
    assert ("connect", "anna", "shop", None, 5.0) == (
        shown.kind, shown.user, shown.database, shown.query, shown.duration_ms
    )  # fmt: skip
    (refused,) = (
        Dialogue(parsers=(MySql,)) >> login() << packet(3, failure(1045, b"28000", b"no"))
    ).messages()
    assert QueryError(code="1045", message="no", sqlstate="28000") == refused.failure


@pytest.mark.parametrize("size", [40, len(login()) - 5, len(login()) + 8])
def test_a_login_that_breaks_off(size):
    """Of a login that is cut, no byte of the client is shown: what is not shown is counted."""
    sent = (login() + packet(4, b"secret\0"))[:size]
    *_, shown = (Dialogue(parsers=(MySql,)) >> sent).messages()
    hidden = size if size < len(login()) else size - len(login())
    assert ("hidden", f"{hidden} bytes that may hold a password are not shown") == (shown.kind, shown.error)
    lost = (
        (Dialogue(parsers=(MySql,)) >> login()).gap(WRITE, 3)
        >> b"secret"
        << b"x"
        >> query("SELECT 1")
        << DONE
    )
    messages = lost.messages()
    assert ["connect", "Lost", "RawData", "hidden", "query"] == [
        getattr(m, "kind", type(m).__name__) for m in messages
    ]
    assert "6 bytes that may hold a password are not shown" == messages[3].error


@pytest.mark.parametrize("sequence", [3, 5])
def test_a_password_older_than_its_login(sequence):
    """Where the capture begins behind the login, a password is not shown: how many bytes are hidden is said."""
    talk = Dialogue(mid=True, parsers=(Http1, MySql, Postgres)) << packet(sequence - 1, b"\1\4")
    talk = talk >> packet(sequence, b"hunter2\0") << packet(sequence + 1, ok()) >> query("SELECT 1") << DONE
    messages = talk.messages()
    assert ["RawData", "hidden", "query"] == [getattr(m, "kind", type(m).__name__) for m in messages]
    assert "12 bytes that may hold a password are not shown" == messages[1].error
    assert not any("hunt" in str(m) for m in messages)


@pytest.mark.parametrize(
    "first",
    [packet(3, ok()), packet(3, failure(1, b"00000", b"no")), packet(5, b"\x03abc"), packet(0, b"abc\0"),
     packet(3, b"abc\0def"), packet(3, b"abc\0") + b"x", packet(3, b"abc\0", bytes(1))],
)  # fmt: skip
def test_what_is_no_password(first):
    """Answers, commands, rows and packets with something behind them are shown."""
    assert Verdict.YES is not MySql.claims(first, connection(mid=True))


def test_a_program_that_reads_queries_is_the_server():
    """The client's end is the source, whichever end is watched."""
    talk = (
        Dialogue(parsers=(MySql,))
        << login()
        >> packets(3, ok())
        << query("SELECT 1")
        >> packets(1, *rows(1, old=True))
    )
    assert {("server", REMOTE, LOCAL)} == {(m.role, m.src, m.dst) for m in talk.messages()}


@pytest.mark.parametrize("tls", [True, False])
def test_plain_beginning(tls):
    """From its very first byte: the server's greeting, the request for TLS where there is one, the login."""
    greeting = packet(0, b"\x0a8.0.36-1\0", bytes(4), b"12345678\0", bytes(30))
    talk = Dialogue(parsers=(Http1, MySql, Postgres)) << greeting
    if tls:
        talk = talk >> login()[:4].replace(login()[:1], b"\x20") + login()[4:36]
    talk = talk >> login(sequence=2 if tls else 1) << packets(3, ok()) >> query("SELECT 1") << DONE
    assert [("client", "connect"), ("client", "query")] == [(m.role, m.kind) for m in talk.messages()]


@pytest.mark.parametrize("can", [BASIC, MODERN])
def test_results(can):
    """Rows are counted with and without EOF packets; an OK tells what was changed; several results add up."""
    old = can is BASIC
    no_attributes = b"" if old else b"\0\1"
    talk = session(can)
    for text in ("SELECT 1", "SELECT 2"):
        talk = talk >> command(3, no_attributes, text.encode()) << packets(1, *rows(3, old=old))
    talk = talk >> command(3, no_attributes, b"UPDATE a") << packets(1, ok(7))
    several = [*rows(2, old=old, status=MORE), *rows(1, old=old, status=MORE), ok(4)]
    shown = after_login(talk >> command(3, no_attributes, b"CALL p()") << packets(1, *several))
    assert [
        ("query", "SELECT 1", 3),
        ("query", "SELECT 2", 3),
        ("query", "UPDATE a", 7),
        ("query", "CALL p()", 7),
    ] == brief(shown)


def test_errors():
    """An error's number, state and words, before and after rows; MariaDB's reports of progress mean nothing."""
    progress = b"\xff\xff\xff" + b"\1\1\2" + bytes(4)
    talk = session() >> query("SELEC") << packets(1, progress, failure(1064, b"42000", "süß".encode()))
    talk = (
        talk
        >> query("SELECT 1")
        << packets(1, b"\1", COLUMN, eof(), b"\1x", failure(1317, b"70100", b"interrupted"))
    )
    first, second = after_login(talk)
    assert QueryError(code="1064", message="süß", sqlstate="42000") == first.failure
    assert ("1317", None) == (second.failure.code, second.rows)


def test_other_commands():
    """Every command has the protocol's word; those that have no answer are shown at once."""
    talk = session() >> PING << DONE >> command(9) << packets(1, b"Uptime: 1") >> command(4, b"a\0%")
    talk = talk << packets(1, COLUMN, COLUMN, eof()) >> command(0x1B, b"\0\0") << packets(1, eof()) >> QUIT
    assert [
        ("ping", None, 0), ("statistics", None, None), ("field_list", "a\0%", 2), ("set_option", None, None),
        ("quit", None, None),
    ] == brief(after_login(talk))  # fmt: skip


def test_the_database_in_use():
    """COM_INIT_DB, USE and what the server says of its session change it; a refused one does not."""
    tracked = b"\1" + counted(counted(b"told"))
    talk = session() >> command(2, b"one") << DONE >> query("/* x */ use `two`;") << DONE
    talk = talk >> query("USE nowhere") << packets(1, failure(1049, b"42000", b"unknown")) >> PING << DONE
    talk = talk >> query("CALL q()") << packets(1, ok(changes=tracked)) >> PING << DONE
    talk = talk >> query("SELECT 1; use four") << DONE >> PING << DONE
    assert ["shop", "one", "two", "two", "two", "told", "told", None] == [
        m.database for m in after_login(talk)
    ]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("SELECT 1; USE b", None),
        ("SELECT 1; /* to b */ use b", None),
        ("SELECT '/*'; use b", None),
        ("SELECT '\\'; use b", None),
        ("SELECT '\\'; use b; -- '", None),
        ("/*!50000 use b */", None),
        ("/*M! select 1 */; use b", None),
        ("drop /* it */ database b", None),
        ("INSERT INTO a VALUES ('; use b', 'drop database c')", "shop"),
        ("SELECT 1 /* ; use b */", "shop"),
        ("SELECT 1 -- ; use b", "shop"),
        ("SELECT `; use b` FROM a USE INDEX (c);", "shop"),
        ("SELECT 'it''s; use b', 'it\\'s'", "shop"),
        ("-- first\nUSE `b``c` ; ", "b`c"),
    ],
)
def test_texts_that_may_change_the_database(text, after):
    """`USE` counts where a statement begins, in code that the server executes, whatever a backslash means there."""
    assert after == database_after_text(text.encode(), "shop", failed=False)


def test_change_of_user():
    """COM_CHANGE_USER is a login within the session, and ends its statements."""
    talk = session() >> command(0x16, b"SELECT 1") << packets(1, prepared(1, 0, 0))
    talk = talk >> command(0x11, b"bert\0", counted(b"secret"), b"bank\0", b"\x21\0") << packets(1, ok())
    *_, changed, after = after_login(talk >> execute(1) << DONE)
    assert ("change_user", "bert", "bank", None) == (
        changed.kind,
        changed.user,
        changed.database,
        changed.query,
    )
    assert ("execute", "bert", "bank", None) == (after.kind, after.user, after.database, after.query)


VALUES = [
    (1, b"\xff", -1),
    (0x8001, b"\xff", 255),
    (2, struct.pack("<h", -300), -300),
    (3, struct.pack("<i", 1 << 30), 1 << 30),
    (0x8008, b"\xff" * 8, (1 << 64) - 1),
    (4, struct.pack("<f", 0.1), 0.1),
    (5, struct.pack("<d", float("nan")), "nan"),
    (253, counted("süß".encode()), "süß"),
    (252, counted(b"\xff\0"), {"base64": "/wA="}),
    (246, counted(b"1.50"), "1.50"),
    (10, b"\4\xe8\7\2\x1d", "2024-02-29"),
    (12, b"\7\xe8\7\2\x1d\1\2\3", "2024-02-29 01:02:03"),
    (7, b"\x0b\xe8\7\2\x1d\1\2\3" + struct.pack("<I", 5), "2024-02-29 01:02:03.000005"),
    (12, b"\0", "0000-00-00"),
    (11, b"\x08\1" + struct.pack("<I", 2) + b"\3\4\5", "-51:04:05"),
    (11, b"\x0c\0" + bytes(4) + b"\3\4\5" + struct.pack("<I", 6), "03:04:05.000006"),
    (6, b"", None),
]


@pytest.mark.parametrize("attributes", [False, True])
def test_parameters_of_every_type(attributes):
    """Values are shown as their types say; NULL by the bitmap; types are remembered; attributes are left out."""
    count = len(VALUES) + 1
    total = bytes([count + attributes]) if attributes else b""
    name = b"\0" if attributes else b""
    nulls = bytearray((count + attributes + 7) // 8)
    nulls[len(VALUES) // 8] |= 1 << len(VALUES) % 8
    types = b"".join(struct.pack("<H", kind) + name for kind, _, _ in VALUES) + b"\x03\0" + name
    if attributes:
        types += b"\xfd\0" + counted(b"trace")
    values = b"".join(value for _, value, _ in VALUES) + (counted(b"hidden") if attributes else b"")
    definitions = [COLUMN] * count + ([] if attributes else [eof()])
    talk = session(MODERN if attributes else BASIC) >> command(0x16, b"INSERT ?")
    talk = talk << packets(1, prepared(5, 0, count), *definitions)
    talk = talk >> execute(5, total, bytes(nulls), b"\1", types, values, flags=8) << packets(1, ok(1))
    talk = talk >> execute(5, total, bytes(nulls), b"\0", values, flags=8) << packets(1, ok(1))
    prepare, first, second = after_login(talk)
    expected = [*(shown for _, _, shown in VALUES), None]
    assert ("prepare", "INSERT ?", UNSET) == (prepare.kind, prepare.query, prepare.parameters)
    assert ("execute", "INSERT ?", expected, 1) == (first.kind, first.query, first.parameters, first.rows)
    assert expected == second.parameters


def test_values_sent_ahead():
    """Long data is part of the execution that it was sent for, and of no other; reset forgets it."""
    talk = session() >> command(0x16, b"INSERT ?, ?") << packets(1, prepared(1, 0, 2), COLUMN, COLUMN, eof())
    piece = command(0x18, struct.pack("<IH", 1, 0), b"ab")
    talk = talk >> piece + piece + execute(1, b"\0\1\xfc\0\3\0", struct.pack("<i", 4)) << packets(1, ok(1))
    talk = talk >> piece + command(0x1A, struct.pack("<I", 1)) << DONE
    talk = (
        talk
        >> execute(1, b"\1\0", struct.pack("<i", 5))
        << packets(1, ok(1))
        >> command(0x19, struct.pack("<I", 1))
    )
    shown = after_login(talk)
    assert [("execute", ["abab", 4]), ("execute", [None, 5])] == [
        (m.kind, m.parameters) for m in shown if m.kind == "execute"
    ]
    assert ["prepare", "execute", "stmt_reset", "execute", "stmt_close"] == [m.kind for m in shown]
    assert {"INSERT ?, ?"} == {m.query for m in shown}


def test_a_cursor():
    """Rows of a cursor come with the commands that fetch them."""
    talk = session() >> command(0x16, b"SELECT a") << packets(1, prepared(1, 1, 0), COLUMN, eof())
    talk = talk >> execute(1, flags=1) << packets(1, b"\1", COLUMN, eof(CURSOR))
    talk = talk >> command(0x1C, struct.pack("<II", 1, 2)) << packets(1, b"\0\0\1x", b"\0\0\1y", eof())
    assert [
        ("prepare", "SELECT a", None),
        ("execute", "SELECT a", None),
        ("stmt_fetch", "SELECT a", 2),
    ] == brief(after_login(talk))


def test_eof_behind_a_preparation_is_learned():
    """Where it is not known whether EOF packets come, one behind the last definition is taken for what it is."""
    talk = session(MODERN) >> command(0x16, b"SELECT ?") << packets(1, prepared(1, 0, 1), COLUMN, eof())
    talk = talk >> command(3, b"\0\1SELECT 1") << packets(1, *rows(1, old=True))
    assert [("prepare", "SELECT ?", None), ("query", "SELECT 1", 1)] == brief(after_login(talk))


def test_mariadb_bulk_and_pipeline():
    """MariaDB's clients prepare and execute at once, by the number -1, and many rows of values at once."""
    values = struct.pack("<H", 0x80) + struct.pack("<HH", 3, 253)
    values += b"\0" + struct.pack("<i", 1) + b"\0" + counted(b"a") + b"\0" + struct.pack("<i", 2) + b"\1"
    sent = command(0x16, b"INSERT ?, ?") + command(0xFA, b"\xff" * 4, values)
    talk = session() >> sent << packets(1, prepared(9, 0, 2), COLUMN, COLUMN, eof()) + packets(1, ok(2))
    _, bulk = after_login(talk)
    assert ("execute", "INSERT ?, ?", [[1, "a"], [2, None]], 2) == (
        bulk.kind,
        bulk.query,
        bulk.parameters,
        bulk.rows,
    )


def test_definitions_that_the_client_has_already():
    """MariaDB may leave definitions out, and says so beside the number of columns."""
    talk = session(MODERN) >> command(0x16, b"SELECT 1") << packets(1, prepared(1, 1, 0), COLUMN)
    talk = talk >> execute(1) << packets(1, b"\1\0", b"\0\0\1x", last())
    assert [("prepare", "SELECT 1", None), ("execute", "SELECT 1", 1)] == brief(after_login(talk))


def test_a_local_file():
    """LOAD DATA LOCAL is a query with the server's count; the file is not shown."""
    talk = session() >> query("LOAD DATA LOCAL INFILE 'f'") << packet(1, b"\xfbf")
    talk = talk >> packets(2, b"1\n2\n", b"3\n", b"") << packets(5, ok(3)) >> PING << DONE
    assert [("query", "LOAD DATA LOCAL INFILE 'f'", 3), ("ping", None, 0)] == brief(after_login(talk))


def compressed(sequence: int, data: bytes, *, zipped: bool = True) -> bytes:
    body = zlib.compress(data) if zipped else data
    size = len(data) if zipped else 0
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + struct.pack("<I", size)[:3] + body


def test_the_compressed_protocol():
    """Packets of packets are read, with zlib and without, also where one holds parts of several."""
    answer = packets(1, *rows(200, old=True))
    talk = session(BASIC | Can.COMPRESS) >> compressed(0, query("SELECT 1"), zipped=False)
    talk = (
        talk
        << compressed(1, answer[:100]) + compressed(2, answer[100:])
        >> compressed(0, query("SELECT " + "2" * 99))
    )
    shown = after_login(talk << compressed(1, DONE, zipped=False))
    assert [("query", "SELECT 1", 200), ("query", "SELECT " + "2" * 99, 0)] == brief(shown)


def test_what_was_said_of_compression_must_hold():
    """What is no compressed packet, or by zstd, or lost, is raw from there on: its packets cannot be found again."""
    zstd = b"\x0d\0\0\0\x40\0\0" + b"\x28\xb5\x2f\xfd" + bytes(9)
    for sent in (zstd, compressed(0, query("SELECT 1"))[:-3] + b"xyz"):
        talk = session(BASIC | Can.COMPRESS) >> sent >> query("SELECT 2")
        login_shown, raw = talk.once()
        assert ("connect", len(sent + query("SELECT 2"))) == (login_shown.kind, raw.size)
    talk = (session(BASIC | Can.COMPRESS).gap(READ, 3)) >> query("SELECT 2")
    assert ["Lost", "RawData"] == brief(after_login(talk))


def test_long_packets():
    """Commands and rows of 16 MiB and more come in several packets; text beyond the limit is cut and counted."""
    text = b"\3SELECT '" + b"x" * 0xFFFFFF + b"'"
    sent = packet(0, text[:0xFFFFFF]) + packet(1, text[0xFFFFFF:])
    row = b"\xfe" + struct.pack("<Q", 0xFFFFFF) + b"y" * 0xFFFFFF
    answer = packets(2, b"\1", COLUMN, eof(), row[:0xFFFFFF], row[0xFFFFFF:], b"\1x", eof())
    talk = (
        Dialogue(parsers=(MySql,), limits=Limits(max_body=20))
        >> login()
        << packets(3, ok())
        >> sent
        << answer
    )
    _, shown = talk.once((16384,))
    assert ("SELECT '" + "x" * 12, True, 2) == (shown.query, shown.truncated, shown.rows)


def test_the_middle_of_a_connection():
    """What went before is not guessed: user, database and an unknown statement's text and values are null."""
    talk = (
        Dialogue(mid=True, parsers=(Http1, MySql, Postgres))
        << packet(4, b"\1x")
        >> query("-- hint\nselect 1")
    )
    talk = talk << packets(1, *rows(1, old=False)) >> execute(3, b"\0\1\3\0", bytes(4)) << DONE
    raw, first, second = talk.messages()
    assert isinstance(raw, RawData)
    assert (None, None, "-- hint\nselect 1", 1) == (first.user, first.database, first.query, first.rows)
    assert ("execute", None, UNSET, 0) == (second.kind, second.query, second.parameters, second.rows)


def test_attributes_that_are_not_known_are_not_guessed():
    """Where both ways to read values add up, none is shown; where only one does, it is."""
    talk = Dialogue(mid=True, parsers=(MySql,)) >> command(0x16, b"SELECT ?, ?")
    talk = talk << packets(1, prepared(1, 0, 2), COLUMN, COLUMN, eof())
    values = b"\0\1\1\0\1\0\5\6"
    talk = talk >> execute(1, values) << DONE >> execute(1, b"\2\0\1\1\0\0\1\0\0\7\x08") << DONE
    _, first, second = talk.messages()
    assert ([5, 6], [7, 8]) == (first.parameters, second.parameters)


@pytest.mark.parametrize(
    "first",
    [query("SELECT 1"), command(3, b"\0\1show tables"), command(0x16, b"insert into a values (?)"), execute(7, b"\0\0abc"),
     login(), packet(0, b"\x0a11.4.2-MariaDB\0", bytes(4), b"12345678\0", bytes(30))],
)  # fmt: skip
def test_beginnings_that_are_claimed(first):
    """A beginning is claimed when enough of it is there, and never refused before."""
    verdicts = [MySql.claims(first[:size], connection()) for size in range(1, len(first) + 1)]
    assert Verdict.YES is verdicts[-1]
    assert Verdict.NO not in verdicts


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64",
     b"\x16\3\1\2\0\1\0\1", b"\x81\x05hello", b"Q\0\0\0\x0dSELECT 1\0", b"\0\0\0\x10\0\3\0\0user\0a\0\0", PING, DONE,
     query("no words of SQL"), query("SELECT 1") + b"x"],
)  # fmt: skip
def test_other_bytes_are_refused_early(first):
    """HTTP, HTTP/2, WebSocket, TLS, PostgreSQL and answers are refused at their beginning."""
    assert Verdict.NO is MySql.claims(first[:20], connection(mid=True))


def test_a_hole_in_a_row_costs_nothing():
    """Bytes missing within one row hide no beginning."""
    big = packet(4, b"\x30" + b"x" * 48)
    talk = (session() >> query("SELECT 1") << packets(1, b"\1", COLUMN, eof()) + big[:20]).gap(READ, 20)
    shown = after_login(talk << big[40:] + packets(5, eof()))
    assert [("query", "SELECT 1", 1)] == brief(m for m in shown if not isinstance(m, Lost))


@pytest.mark.parametrize("direction", [READ, WRITE])
def test_holes_elsewhere(direction):
    """A command that waits is shown without its answer; the next one is understood, what may have changed is null."""
    talk = session() >> command(0x16, b"SELECT 1") << packets(1, prepared(1, 0, 0)) >> query("SELECT 1")
    talk = talk.gap(direction, 9) << b"rest" >> execute(1) << DONE
    _, waiting, lost, raw, after = after_login(talk)
    assert ("SELECT 1", None, "no whole answer before bytes were lost") == (
        waiting.query,
        waiting.rows,
        waiting.error,
    )
    assert isinstance(lost, Lost)
    assert "rest" == raw.data
    assert ("execute", None, None, None, 0) == (
        after.kind,
        after.query,
        after.user,
        after.database,
        after.rows,
    )


def test_answers_that_do_not_fit():
    """An answer out of order ends the pairing: it is raw, and nothing is taken for it."""
    talk = session() >> query("SELECT 1") << packets(3, ok()) >> query("SELECT 2") << packets(1, ok(2))
    assert [("query", "SELECT 1", None), "RawData", ("query", "SELECT 2", 2)] == brief(after_login(talk))


def test_replication_is_shown_and_left():
    """A replica's request is a message; the stream that follows is raw data."""
    talk = session() >> command(0x12, bytes(10)) << packets(1, b"\0event", b"\0event")
    assert [("binlog_dump", None, None), "RawData"] == brief(after_login(talk))


SLACK = 16
"""Bytes that a chunk of one byte holds above its charge, until somebody claims it (`stream._HELD_CHUNK`)."""

CODES = st.sampled_from(
    [1, 2, 3, 4, 9, 0x0E, 0x11, 0x12, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1F, 0x20, 0xFA]
)
COMMANDS = st.builds(lambda code, data: packet(0, bytes([code]), data), CODES, st.binary(max_size=40))
ANSWERS = st.builds(packet, st.integers(0, 5), st.binary(max_size=40))
SENSE = st.sampled_from(
    [query("SELECT 1"), command(0x16, b"SELECT ?"), execute(1, b"\0\1\3\0", bytes(4)), DONE, login(), PING, QUIT,
     packets(1, *rows(2, old=True)), packets(1, *rows(2, old=False)), packets(1, prepared(1, 0, 1), COLUMN, eof())]
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from([READ, WRITE]),
        st.one_of(st.binary(min_size=1, max_size=30), COMMANDS, ANSWERS, SENSE),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([None, BASIC, MODERN, BASIC | Can.COMPRESS]))
def test_garbage_breaks_nothing(steps, can):
    """Whatever comes, nothing is raised, and no more memory is held than was charged for it."""
    stage = Parse([MySql], Limits(max_body=64))
    made, offsets = connection(mid=can is None), {READ: 0, WRITE: 0}
    if can is not None:
        steps = [(WRITE, login(can)), (READ, packets(3, ok())), *steps]
    out = []
    for direction, data in steps:
        out += run(stage, [Chunk(made, direction, offsets[direction], START, data)])
        offsets[direction] += len(data)
        assert stage.held <= charged(stage) + SLACK * len(steps)
    out += run(stage, [Totals(START, 1.0, 1, 0, {})])
    assert all(isinstance(m, Query | RawData) for m in out[:-1])
