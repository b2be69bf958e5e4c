"""Dialogues in PostgreSQL's protocol, and the messages that come of them."""

from __future__ import annotations

import struct
import uuid

import pytest
from dialogue import LOCAL, READ, REMOTE, START, WHO, WRITE, Dialogue, charged, connection, run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from pellucid.model import Chunk, Lost, Query, QueryError, RawData, Totals
from pellucid.parse import Limits, Parse
from pellucid.parse.http1.parser import Http1
from pellucid.parse.postgres.parser import Postgres
from pellucid.parse.protocol import Verdict


def message(letter: bytes, *fields: bytes) -> bytes:
    body = b"".join(fields)
    return letter + struct.pack("!I", len(body) + 4) + body


def startup(version=196608, **parameters: str) -> bytes:
    pairs = b"".join(b"%b\0%b\0" % (k.encode(), v.encode()) for k, v in parameters.items())
    return struct.pack("!II", len(pairs) + 9, version) + pairs + b"\0"


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def parse(name: str, text: str, *types: int) -> bytes:
    return message(
        b"P",
        name.encode() + b"\0",
        text.encode() + b"\0",
        struct.pack(f"!H{len(types)}I", len(types), *types),
    )


def bind(portal: str, statement: str, *values: bytes | None, formats: tuple[int, ...] = ()) -> bytes:
    shown = b"".join(
        b"\xff\xff\xff\xff" if value is None else struct.pack("!I", len(value)) + value for value in values
    )
    return message(
        b"B",
        portal.encode() + b"\0" + statement.encode() + b"\0",
        struct.pack(f"!H{len(formats)}H", len(formats), *formats),
        struct.pack("!H", len(values)),
        shown,
        b"\0\0",
    )


def describe(what: bytes, name: str = "") -> bytes:
    return message(b"D", what, name.encode() + b"\0")


def execute(portal: str = "", most: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0", struct.pack("!I", most))


def close(what: bytes, name: str) -> bytes:
    return message(b"C", what, name.encode() + b"\0")


def complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\0")


def error(code: str, text: str) -> bytes:
    return message(b"E", b"SERROR\0VERROR\0C%b\0M%b\0\0" % (code.encode(), text.encode()))


SYNC, FLUSH, TERMINATE = message(b"S"), message(b"H"), message(b"X")
PARSED, BOUND, CLOSED, NO_DATA, SUSPENDED = (message(letter) for letter in (b"1", b"2", b"3", b"n", b"s"))
READY, IN_TRANSACTION = message(b"Z", b"I"), message(b"Z", b"T")
COLUMNS = message(b"T", b"\0\1a\0" + bytes(18))
ROW = message(b"D", b"\0\1\0\0\0\1x")
LOGIN = startup(user="anna", database="shop")
AUTHENTICATED = message(b"R", bytes(4)) + message(b"S", b"a\0b\0") + message(b"K", bytes(8)) + READY


def session(**options) -> Dialogue:
    return Dialogue(parsers=(Http1, Postgres), **options) >> LOGIN << AUTHENTICATED


def after_login(talk: Dialogue) -> list[Query]:
    first, *others = talk.messages()
    assert ("connect", None) == (first.kind, first.failure)
    return others


def brief(messages) -> list[tuple]:
    """Return kind, text and rows of each command, other messages by their type."""
    return [(m.kind, m.query, m.rows) if isinstance(m, Query) else type(m).__name__ for m in messages]


def test_a_simple_query_fills_every_field():
    """A query is shown with who asked, where, how many rows came and how long it took."""
    (shown,) = after_login(
        session() >> query("SELECT a") << COLUMNS + ROW + ROW + complete("SELECT 2") + READY
    )
    expected = Query(
        ts="2023-11-14T22:13:20.003000Z",
        **WHO,
        server="postgres",
        user="anna",
        database="shop",
        kind="query",
        query="SELECT a",
        rows=2,
        duration_ms=1.0,
    )
    assert expected == shown


def test_the_login_is_a_message_without_its_password():
    """Who logs in is shown, and no byte of what proves it; the database is the user's name where none is given."""
    talk = Dialogue(parsers=(Postgres,)) >> startup(user="anna") << message(b"R", b"\0\0\0\3")
    talk = talk >> message(b"p", b"secret\0") << AUTHENTICATED
    (shown,) = talk.messages()
    assert ("connect", "anna", "anna", None, 3.0) == (
        shown.kind, shown.user, shown.database, shown.query, shown.duration_ms
    )  # fmt: skip
    (refused,) = (
        Dialogue(parsers=(Postgres,)) >> LOGIN >> message(b"p", b"secret\0") << error("28P01", "no")
    ).messages()
    assert QueryError(code="28P01", message="no") == refused.failure
    broken = (Dialogue(parsers=(Postgres,)) >> LOGIN >> message(b"p", b"secret\0")[:-3]).messages()
    assert ["no whole answer before the capture ended", "9 bytes that may hold a password are not shown"] == [
        shown.error for shown in broken
    ]


@pytest.mark.parametrize(
    "proof", [b"hunter2\0", b"SCRAM-SHA-256\0\0\0\0\x0en,,n=,r=hunter2", b"c=biws,r=hunter2,p=hunter2"]
)
def test_a_password_older_than_its_login(proof):
    """Where the capture begins behind the startup message, a password is not shown: how many bytes are hidden is said."""
    talk = Dialogue(mid=True, parsers=(Http1, Postgres)) << message(b"R", b"\0\0\0\3")
    talk = talk >> message(b"p", proof) << AUTHENTICATED >> query("SELECT 1") << complete("SELECT 1") + READY
    messages = talk.messages()
    assert ["RawData", ("hidden", None, None), ("query", "SELECT 1", 1)] == brief(messages)
    assert f"{len(proof) + 5} bytes that may hold a password are not shown" == messages[1].error
    broken = Dialogue(mid=True, parsers=(Http1, Postgres)) >> message(b"p", proof)[:-2]
    assert not any("hunt" in str(m) for m in [*messages, *broken.messages()])


@pytest.mark.parametrize(
    "first", [b"p\0\0\0\x09ab\0cd", b"p\0\0\0\x08abcd", b"p\0\0\0\x06ab\0", b"p\0\1\0\x08abc\0", b"password"]
)
def test_what_is_no_password(first):
    """What only begins with the letter of a password is shown."""
    assert Verdict.YES is not Postgres.claims(first, connection(mid=True))


def test_a_program_that_reads_queries_is_the_server():
    """The client's end is the source, whichever end is watched."""
    talk = (
        Dialogue(parsers=(Postgres,))
        << LOGIN
        >> AUTHENTICATED
        << query("SELECT 1")
        >> complete("SELECT 1") + READY
    )
    assert {("server", REMOTE, LOCAL)} == {(m.role, m.src, m.dst) for m in talk.messages()}


def test_plain_beginning():
    """SSLRequest and GSSENCRequest may come before the login, and have one byte as their answer."""
    talk = Dialogue(parsers=(Http1, Postgres)) >> struct.pack("!II", 8, 80877104) << b"N"
    talk = talk >> struct.pack("!II", 8, 80877103) << b"S" >> LOGIN << AUTHENTICATED >> query("SELECT 1")
    assert ["connect", "query"] == [m.kind for m in (talk << complete("SELECT 1") + READY).messages()]


def test_a_cancel_request_is_shown_without_its_key():
    """A request to cancel has a connection of its own."""
    (shown,) = (
        (Dialogue(parsers=(Postgres,)) >> struct.pack("!IIII", 16, 80877102, 4711, 815)).close().messages()
    )
    assert ("cancel", None, UNSET, None) == (shown.kind, shown.query, shown.parameters, shown.duration_ms)


@pytest.mark.parametrize(
    ("tag", "rows"),
    [
        ("INSERT 0 3", 3),
        ("UPDATE 4", 4),
        ("BEGIN", None),
        ("CREATE TABLE", None),
        ("COPY 7", 7),
        ("FETCH 0", 0),
    ],
)
def test_rows_are_the_servers_count(tag, rows):
    """What the server says of a command is what is shown; where it says no number, none is."""
    assert [("query", "x", rows)] == brief(after_login(session() >> query("x") << complete(tag) + READY))


def test_several_statements_in_one_query():
    """They are one message; its rows are those of all of them."""
    talk = session() >> query("BEGIN; SELECT 1; DELETE FROM a; COMMIT")
    talk = (
        talk
        << complete("BEGIN")
        + COLUMNS
        + ROW
        + complete("SELECT 1")
        + complete("DELETE 5")
        + complete("COMMIT")
        + READY
    )
    assert [("query", "BEGIN; SELECT 1; DELETE FROM a; COMMIT", 6)] == brief(after_login(talk))


def test_an_error_is_the_querys():
    """SQLSTATE and words of an error; notices and settings that come between mean nothing."""
    talk = (
        session()
        >> query("SELEC")
        << message(b"N", b"SNOTICE\0C00000\0Mhm\0\0") + error("42601", "syntax") + READY
    )
    talk = talk >> query("") << message(b"I") + READY
    first, second = after_login(talk)
    assert QueryError(code="42601", message="syntax") == first.failure
    assert ("query", "", None, None) == (second.kind, second.query, second.rows, second.failure)


def test_an_unnamed_statement_is_one_message():
    """Parse, Bind, Describe, Execute and Sync of a driver's query are one `execute`, with text and values."""
    talk = session() >> (
        parse("", "SELECT $1, $2, $3", 23, 25, 0) + bind("", "", b"\0\0\0\x2a", None, b"caf\xc3\xa9", formats=(1, 0, 0))
        + describe(b"P") + execute() + SYNC
    )  # fmt: skip
    talk = talk << PARSED + BOUND + COLUMNS + ROW + complete("SELECT 1") + READY
    (shown,) = after_login(talk)
    assert ("execute", "SELECT $1, $2, $3", [42, None, "café"], 1) == (
        shown.kind, shown.query, shown.parameters, shown.rows
    )  # fmt: skip


def test_a_named_statement_is_prepared_and_executed():
    """A named Parse is a `prepare`; each execution has its text, and types that Describe tells are remembered."""
    talk = session() >> parse("s1", "INSERT INTO a VALUES ($1)") + describe(b"S", "s1") + SYNC
    talk = talk << PARSED + message(b"t", b"\0\1\0\0\0\x14") + NO_DATA + READY
    for value in (1, -2):
        talk = talk >> bind("", "s1", struct.pack("!q", value), formats=(1,)) + execute() + SYNC
        talk = talk << BOUND + complete("INSERT 0 1") + READY
    talk = talk >> close(b"S", "s1") + SYNC << CLOSED + READY
    shown = after_login(talk)
    assert [("prepare", UNSET), ("execute", [1]), ("execute", [-2])] == [
        (m.kind, m.parameters) for m in shown
    ]
    assert {"INSERT INTO a VALUES ($1)"} == {m.query for m in shown}


def test_pipelining():
    """Answers belong to commands in order, also when all commands come before the first answer."""
    sent = b"".join(
        bind("", "s", str(n).encode()) + execute() + SYNC + query(f"SELECT {n}") for n in range(3)
    )
    answers = b"".join(
        BOUND + complete(f"UPDATE {n}") + READY + complete(f"SELECT {n}") + READY for n in range(3)
    )
    shown = after_login(session() >> parse("s", "UPDATE x") + sent << PARSED + answers)
    assert ["prepare"] + ["execute", "query"] * 3 == [m.kind for m in shown]
    assert [None, 0, 0, 1, 1, 2, 2] == [m.rows for m in shown]
    assert [["0"], ["1"], ["2"]] == [m.parameters for m in shown if m.kind == "execute"]


def test_an_error_skips_to_sync():
    """A failed step is shown where it belongs; what is skipped says so, and defines nothing."""
    first = (
        parse("", "bad")
        + bind("", "")
        + execute()
        + parse("later", "never")
        + bind("", "later")
        + execute()
        + SYNC
    )
    talk = session() >> first + bind("", "later") + execute() + SYNC
    talk = talk << error("42601", "syntax") + READY + error("26000", "no statement") + READY
    bad, never, skipped, unknown = after_login(talk)
    assert ("execute", "bad", "42601") == (bad.kind, bad.query, bad.failure.code)
    reason = "not done: what was sent before it failed"
    assert ("prepare", "never", None, reason) == (never.kind, never.query, never.failure, never.error)
    assert ("execute", "never", None, reason) == (skipped.kind, skipped.query, skipped.failure, skipped.error)
    assert ("execute", "26000") == (unknown.kind, unknown.failure.code)


def test_a_statement_survives_a_parse_that_fails():
    """A second Parse of a name that is taken fails, and the first statement stays."""
    talk = session() >> parse("s", "SELECT 1") + SYNC << PARSED + READY >> parse("s", "SELECT 2") + SYNC
    talk = talk << error("42P05", "exists") + READY >> bind("", "s") + execute() + SYNC
    shown = after_login(talk << BOUND + complete("SELECT 1") + READY)
    assert ["SELECT 1", "SELECT 2", "SELECT 1"] == [m.query for m in shown]


def test_an_error_at_sync_is_shown():
    """What fails only when it is committed is a message of its own."""
    talk = session() >> parse("", "INSERT") + bind("", "") + execute() + SYNC
    talk = talk << PARSED + BOUND + complete("INSERT 0 1") + error("23503", "deferred") + READY
    done, failed = after_login(talk)
    assert ("execute", 1, None) == (done.kind, done.rows, done.failure)
    assert ("sync", "23503", "anna") == (failed.kind, failed.failure.code, failed.user)


def test_a_portal_is_fetched_from_in_parts():
    """Each Execute of a portal with a limit is a message with its own rows."""
    talk = session() >> parse("", "SELECT a") + bind("c", "", b"1") + execute("c", 2) + FLUSH
    talk = talk << PARSED + BOUND + ROW + ROW + SUSPENDED >> execute("c", 2) + SYNC
    shown = after_login(talk << ROW + complete("SELECT 1") + READY)
    assert [("execute", "SELECT a", 2), ("execute", "SELECT a", 1)] == brief(shown)
    assert [["1"], ["1"]] == [m.parameters for m in shown]


def test_copy():
    """COPY in both directions is a `copy` with the server's count; its data is not shown."""
    talk = session() >> query("COPY a FROM STDIN") << message(b"G", b"\0\0\0")
    talk = talk >> message(b"d", b"1\n") + message(b"d", b"2\n") + message(b"c") << complete("COPY 2") + READY
    talk = (
        talk >> query("COPY a TO STDOUT") << message(b"H", b"\0\0\0") + message(b"d", b"1\n") + message(b"c")
    )
    talk = talk << complete("COPY 1") + READY
    assert [("copy", "COPY a FROM STDIN", 2), ("copy", "COPY a TO STDOUT", 1)] == brief(after_login(talk))


def test_sync_means_nothing_while_copying_in():
    """libpq sends Sync with Execute, and again after the data: the server ignores the first."""
    talk = session() >> parse("", "COPY a FROM STDIN") + bind("", "") + execute() + SYNC
    talk = talk << PARSED + BOUND + message(b"G", b"\0\0\0") >> message(b"d", b"1\n") + message(b"c") + SYNC
    talk = talk << complete("COPY 1") + READY >> query("SELECT 1") << complete("SELECT 1") + READY
    assert [("copy", "COPY a FROM STDIN", 1), ("query", "SELECT 1", 1)] == brief(after_login(talk))


def test_replication():
    """What streams both ways is a `replication`, shown when it ends; such a connection may have no database."""
    talk = Dialogue(parsers=(Postgres,)) >> startup(user="r", replication="true") << AUTHENTICATED
    talk = talk >> query("START_REPLICATION 0/0") << message(b"W", b"\0\0\0") + message(b"d", b"w" * 9)
    talk = (talk >> message(b"d", b"r" * 9)).close()
    login, shown = talk.messages()
    assert (None, "replication", "START_REPLICATION 0/0") == (login.database, shown.kind, shown.query)
    assert "no whole answer before the connection closed" == shown.error


def test_function_call_and_end():
    """The call of a function, and the end of a session, are commands too."""
    talk = session() >> message(b"F", bytes(14)) << message(b"V", b"\0\0\0\1x") + READY >> TERMINATE
    assert [("function", None, None), ("terminate", None, None)] == brief(after_login(talk))


def test_an_error_out_of_the_blue():
    """An error that answers nothing, as at a shutdown, is shown."""
    (shown,) = after_login(session() << error("57P01", "terminating"))
    assert ("error", "57P01", "anna") == (shown.kind, shown.failure.code, shown.user)


@pytest.mark.parametrize(
    ("sql", "known"),
    [("DEALLOCATE s", [None, "SELECT 2"]), ('DEALLOCATE PREPARE "t"', ["SELECT 1", None]),
     ("DEALLOCATE ALL", [None, None]), ("DISCARD ALL", [None, None]), ("SELECT 'prepared'", ["SELECT 1", "SELECT 2"])],
)  # fmt: skip
def test_names_that_sql_takes(sql, known):
    """A statement that SQL itself may have replaced is not known any more."""
    talk = session() >> parse("s", "SELECT 1") + parse("t", "SELECT 2") + SYNC << PARSED + PARSED + READY
    talk = talk >> query(sql) << complete("DEALLOCATE") + READY
    talk = talk >> bind("", "s") + execute() + bind("", "t") + execute() + SYNC
    shown = after_login(talk << (BOUND + complete("SELECT 1")) * 2 + READY)
    assert known == [m.query for m in shown[-2:]]


BINARY = [
    (16, b"\1", True),
    (21, struct.pack("!h", -7), -7),
    (20, struct.pack("!q", 1 << 60), 1 << 60),
    (700, struct.pack("!f", 1.1), 1.1),
    (701, struct.pack("!d", float("inf")), "inf"),
    (25, "naïve".encode(), "naïve"),
    (17, b"\xff\0", {"base64": "/wA="}),
    (2950, uuid.UUID(int=1).bytes, "00000000-0000-0000-0000-000000000001"),
    (1082, struct.pack("!i", 366), "2001-01-01"),
    (1082, struct.pack("!i", 0x7FFFFFFF), "infinity"),
    (1083, struct.pack("!q", 3_600_000_001), "01:00:00.000001"),
    (1114, struct.pack("!q", -1_000_000), "1999-12-31 23:59:59"),
    (1184, struct.pack("!q", 0), "2000-01-01 00:00:00+00:00"),
    (1700, struct.pack("!HhHH4H", 4, 1, 0x4000, 6, 1, 2345, 6789, 100), "-12345.678901"),
    (1700, struct.pack("!HhHH1H", 1, -2, 0, 6, 1200), "0.000012"),
    (1700, struct.pack("!HhHH", 0, 0, 0xC000, 0), "NaN"),
    (3802, b'\1{"a": 1}', '{"a": 1}'),
    (1007, struct.pack("!III II I", 1, 1, 23, 2, 1, 4) + b"\0\0\0\5" + b"\xff" * 4, [5, None]),
    (1009, struct.pack("!III", 0, 0, 25), []),
    (1007, struct.pack("!III IIII", 2, 0, 23, 1 << 31, 1, 0, 1), "base64"),
    (600, bytes(16), "base64"),
    (23, b"\1", "base64"),
    (0, b"\1", {"base64": "AQ=="}),
]


@pytest.mark.parametrize(("oid", "value", "shown"), BINARY)
def test_binary_values(oid, value, shown):
    """Values are shown as their type says; those that cannot be read as it, as base64."""
    talk = session() >> parse("", "x", oid) + bind("", "", value, formats=(1,)) + execute() + SYNC
    (message,) = after_login(talk << PARSED + BOUND + complete("SELECT 1") + READY)
    (parameter,) = message.parameters
    assert shown == (parameter if shown != "base64" else next(iter(parameter)))


def test_long_texts_and_values_are_cut():
    """Text and values beyond the limit are cut and say so; what follows is understood."""
    limits = Limits(max_body=100)
    talk = session(limits=limits) >> query("SELECT '" + "é" * 70_000) << complete("SELECT 1") + READY
    talk = talk >> parse("", "SELECT $1, $2") + bind("", "", b"a", b"b" * 200) + execute() + SYNC
    talk = talk << PARSED + BOUND + message(b"D", b"x" * 100_000) + complete("SELECT 1") + READY
    text, values = after_login(talk)
    assert ("SELECT '" + "é" * 46, True) == (text.query, text.truncated)
    assert (["a", "b" * 91], True) == (values.parameters, values.truncated)


def test_text_that_is_not_utf8():
    """Bytes of another encoding are written out, and that is said."""
    talk = session() >> message(b"Q", b"SELECT '\xe9'\0") << complete("SELECT 1") + READY
    (shown,) = after_login(talk)
    assert ("SELECT '\\xe9'", "the text is not UTF-8: other bytes are written \\xNN") == (
        shown.query,
        shown.error,
    )


def test_the_middle_of_a_connection():
    """What went before is not guessed: user, database and an unknown statement's text are null."""
    talk = Dialogue(mid=True, parsers=(Http1, Postgres)) << ROW + complete("SELECT 1") + READY
    talk = talk >> query("/* hint */ select 1") << complete("SELECT 1") + READY
    talk = talk >> bind("", "old", b"v") + execute() + SYNC << BOUND + complete("UPDATE 1") + READY
    raw, first, second = talk.messages()
    assert isinstance(raw, RawData)
    assert (None, None, "/* hint */ select 1", 1) == (first.user, first.database, first.query, first.rows)
    assert ("execute", None, ["v"], 1) == (second.kind, second.query, second.parameters, second.rows)


@pytest.mark.parametrize(
    "first", [query("SELECT 1"), parse("s", "UPDATE a"), bind("", "s", b"1", None) + execute() + SYNC]
)
def test_commands_that_are_claimed(first):
    """A command in the middle of a connection is claimed when enough of it is there, and never refused before."""
    verdicts = [Postgres.claims(first[:size], connection(mid=True)) for size in range(1, len(first) + 1)]
    assert Verdict.YES is verdicts[-1]
    assert Verdict.NO not in verdicts


@pytest.mark.parametrize(
    "first",
    [b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"QUERY /a HTTP/1.1\r\n",
     b"BREW / HTTP/1.1\r\n", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x64", b"\x16\3\1\2\0\1\0\1", b"\x81\x05hello", ROW + READY,
     execute() + SYNC, b"Q\0\0\0\x0d=1\0\0\0\0\0\0\0"],
)  # fmt: skip
def test_other_bytes_are_refused_early(first):
    """HTTP, HTTP/2, WebSocket, TLS and answers are refused within eight bytes."""
    assert Verdict.NO is Postgres.claims(first[:8], connection(mid=True))


def test_a_hole_in_a_row_costs_nothing():
    """Bytes missing within one row, or within the data of a copy, hide no beginning."""
    big = message(b"D", b"x" * 50)
    talk = (session() >> query("SELECT 1") << COLUMNS + big[:20]).gap(READ, 20) << big[40:] + complete(
        "SELECT 1"
    ) + READY
    assert [("query", "SELECT 1", 1)] == brief(m for m in after_login(talk) if not isinstance(m, Lost))


def test_a_hole_in_an_answer():
    """Commands that wait are shown without their answer; the next command after it is understood."""
    talk = session() >> parse("s", "SELECT 1") + SYNC << PARSED + READY >> query("SELECT 1") << COLUMNS
    talk = talk.gap(READ, 9) << b"rest" + READY >> bind("", "s") + execute() + SYNC
    talk = talk << BOUND + complete("SELECT 1") + READY
    _, lost_one, lost, raw, after = after_login(talk)
    assert ("SELECT 1", None, "no whole answer before bytes were lost") == (
        lost_one.query,
        lost_one.rows,
        lost_one.error,
    )
    assert isinstance(lost, Lost)
    assert b"rest" + READY == raw.data.encode()
    assert ("execute", None, "anna", "shop", 1) == (
        after.kind,
        after.query,
        after.user,
        after.database,
        after.rows,
    )


def test_a_hole_in_the_commands():
    """The answer to a command that was lost is not taken for the answer to the next one."""
    talk = (
        session().gap(WRITE, 40)
        >> query("SELECT 2")
        << complete("SELECT 1") + READY + complete("SELECT 2") + READY
    )
    talk = talk >> query("SELECT 3") << complete("SELECT 3") + READY
    shown = [m for m in after_login(talk) if isinstance(m, Query)]
    assert [("query", "SELECT 3", 3)] == brief(shown)


def test_answers_that_do_not_fit():
    """An answer that cannot be one of what was sent ends the pairing: it is raw, and nothing is taken for it."""
    talk = (
        session() >> query("SELECT 1") << BOUND + READY >> query("SELECT 2") << complete("SELECT 2") + READY
    )
    assert [("query", "SELECT 1", None), "RawData", ("query", "SELECT 2", 2)] == brief(after_login(talk))


def test_a_request_of_kafka_is_no_startup():
    """Kafka's request for metadata begins with the same eight bytes as a startup message."""
    kafka = struct.pack("!IHHI", 24, 3, 0, 1) + b"\0\x07console" + bytes(9)
    assert Verdict.NO is Postgres.claims(kafka, connection())
    assert Verdict.YES is Postgres.claims(LOGIN, connection())


SLACK = 16
"""Bytes that a chunk of one byte holds above its charge, until somebody claims it (`stream._HELD_CHUNK`)."""

LETTERS = st.sampled_from([bytes([letter]) for letter in b"QPBDECSHFXdcfpRZ123ntTICGHWVENAK"])
MESSAGES = st.builds(message, LETTERS, st.binary(max_size=40))
SENSE = st.sampled_from(
    [query("SELECT 1"), parse("s", "x"), bind("", "s", b"1"), execute(), SYNC, PARSED, BOUND, READY, ROW, LOGIN,
     complete("SELECT 1"), error("1", "x"), close(b"S", "s"), describe(b"S", "s"), AUTHENTICATED]
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from([READ, WRITE]), st.one_of(st.binary(min_size=1, max_size=30), MESSAGES, SENSE)),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.booleans())
def test_garbage_breaks_nothing(steps, mid):
    """Whatever comes, nothing is raised, and no more memory is held than was charged for it."""
    limits = Limits(max_body=64)
    stage = Parse([Postgres], limits)
    made, offsets = connection(mid=mid), {READ: 0, WRITE: 0}
    out = run(stage, [Chunk(made, WRITE, 0, START, LOGIN)]) if not mid else []
    offsets[WRITE] = 0 if mid else len(LOGIN)
    for direction, data in steps:
        out += run(stage, [Chunk(made, direction, offsets[direction], START, data)])
        offsets[direction] += len(data)
        assert stage.held <= charged(stage) + SLACK * len(steps)
    out += run(stage, [Totals(START, 1.0, 1, 0, {})])
    assert all(isinstance(m, Query | RawData) for m in out[:-1])
