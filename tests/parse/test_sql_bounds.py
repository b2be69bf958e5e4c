"""What hostile bytes cost the parsers of databases: time that grows with their number, memory that is counted."""

from __future__ import annotations

import gc
import struct
import time
import tracemalloc
from functools import partial

import pytest
import test_mysql as my
import test_postgres as pg
from dialogue import READ, START, WRITE, connection, run

from pellucid.model import Chunk
from pellucid.parse import Limits, Parse
from pellucid.parse.mysql.database import database_after_text
from pellucid.parse.mysql.parser import MySql
from pellucid.parse.postgres.parser import Postgres
from pellucid.parse.postgres.values import binary_value
from pellucid.parse.sql.command import begins_statement, may_begin_statement

CALL = 16 * 1024
"""Bytes of a record of TLS: a long message comes in as many chunks."""

QUARTER, WHOLE = 64 * 1024, 256 * 1024
"""Sizes that are compared: four times as many bytes may take four times as long, a square of them sixteen times."""


def prepare_mysql(send, number: int, parameters: int, text: bytes = b"INSERT ?") -> None:
    """Prepare a statement, its definitions left out."""
    send(WRITE, my.command(0x16, text))
    answer = b"\0" + struct.pack("<IHHBHB", number, 0, parameters, 0, 0, 0)
    assert send(READ, my.packets(1, answer))


def ahead(parameter: int, data: bytes = b"") -> bytes:
    return my.command(0x18, struct.pack("<IH", 1, parameter), data)


def opened(parser, limits=None):
    """Return a stage with one session that is logged in, and how bytes are passed on."""
    stage, made, offsets = Parse([parser], limits or Limits()), connection(1), {READ: 0, WRITE: 0}

    def send(direction, data):
        out = []
        for at in range(0, len(data), CALL):
            piece = data[at : at + CALL]
            out += run(stage, [Chunk(made, direction, offsets[direction], START, piece)])
            offsets[direction] += len(piece)
        return out

    if parser is Postgres:
        send(WRITE, pg.LOGIN)
        send(READ, pg.AUTHENTICATED)
    else:
        send(WRITE, my.login())
        send(READ, my.packets(3, my.ok()))
    return stage, send


def shown_rows(tags: list[str]):
    """Return the messages of a query that is completed with such tags, and of one after it."""
    _, send = opened(Postgres)
    out = send(WRITE, pg.query("SELECT 1")) + send(READ, b"".join(map(pg.complete, tags)) + pg.READY)
    return out + send(WRITE, pg.query("SELECT 2")) + send(READ, pg.complete("SELECT 2") + pg.READY)


@pytest.mark.parametrize(
    "tags", [["SELECT " + "9" * 5000], ["SELECT " + "9" * 20], [f"SELECT {1 << 63}"] * 2]
)
def test_a_count_that_cannot_be(tags):
    """More rows than a server can count end the pairing, and nothing else: the next command is understood."""
    first, *_, last = shown_rows(tags)
    assert "no whole answer before more rows than can be counted" == first.error
    assert ("SELECT 2", 2) == (last.query, last.rows)


def test_arrays_in_arrays_are_refused():
    """PostgreSQL's arrays hold no arrays: a value that says so, however deep, is shown as base64."""
    value = b""
    for _ in range(3000):
        value = struct.pack("!IIIIII", 1, 0, 1007, 1, 1, len(value)) + value
    assert ["base64"] == list(binary_value(value, 1007))


@pytest.mark.parametrize(("weight", "scale"), [(0x4000, 0), (0x7FFF, 0), (-0x8000, 9), (0, 0x3FFF)])
def test_a_numeric_of_zeros_is_not_written_out(weight, scale):
    """Ten bytes may stand for a number of 131,072 digits: it is shown as base64."""
    assert ["base64"] == list(binary_value(struct.pack("!HhHHH", 1, weight, 0, scale, 1), 1700))
    assert "1" + "0" * 400 == binary_value(struct.pack("!HhHHH", 1, 100, 0, 0, 1), 1700)


def repeated(unit: bytes, before: bytes = b"", after: bytes = b""):
    """Return what makes a text of a size."""
    return lambda size: (before + unit * (size // len(unit)))[:size] + after


TEXTS = {
    "spaces": repeated(b" ", b"use x", b"y"),
    "spaces of deallocate": repeated(b" ", b"deallocate x", b"y"),
    "spaces behind use": repeated(b" ", b"use", b"`"),
    "a long name": repeated(b"x", b"deallocate ", b"!"),
    "a quoted name": repeated(b"``", b"use `", b"!"),
    "comments behind semicolons": repeated(b";/*", b"select 1;use;"),
    "comments that end once": repeated(b";/*", b"drop", b"*/"),
    "executed comments": repeated(b";/*!", b"use"),
    "short comments": repeated(b"/**/", b"drop "),
    "lines": repeated(b";-- \n", b"use "),
    "hashes": repeated(b";#", b"use;"),
    "quotes": repeated(b"';", b"use;"),
    "escapes": repeated(b"\\'\";", b"use;"),
    "drops": repeated(b"drop   "),
    "uses": repeated(b";use"),
    "brackets": repeated(b"("),
    "openings": repeated(b"/*"),
    "mixed": repeated(b" /* */-- x\n#"),
}


def query_postgres(text: bytes) -> None:
    _, send = opened(Postgres)
    send(WRITE, pg.message(b"Q", text + b"\0"))
    assert send(READ, pg.complete("SELECT 1") + pg.READY)


def query_mysql(text: bytes) -> None:
    _, send = opened(MySql)
    send(WRITE, my.command(3, text))
    assert send(READ, my.DONE)


USES = [
    begins_statement,
    may_begin_statement,
    partial(database_after_text, before="a", failed=False),
    query_postgres,
    query_mysql,
]


def seconds(work) -> float:
    """Return the least processor time of two runs."""
    times = []
    for _ in range(2):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def grows(work) -> float:
    """Return how many times as long the work takes for four times as much; a millisecond is what cannot be measured."""
    return seconds(partial(work, WHOLE)) / (seconds(partial(work, QUARTER)) + 0.001)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_makes_matching_slow(text):
    """Whatever a text is made of, it is judged, and followed, in time that grows with its length only."""
    for use in USES:
        assert grows(lambda size, use=use: use(text(size))) < 9


def append_pieces(size: int) -> None:
    _, send = opened(MySql)
    prepare_mysql(send, 1, 1)
    send(WRITE, ahead(0, b"x") * (size // 4))


def send_many_values(size: int) -> None:
    _, send = opened(MySql)
    prepare_mysql(send, 1, 0xFFFF)
    send(WRITE, b"".join(ahead(at) for at in range(size // 8)))


@pytest.mark.parametrize("work", [append_pieces, send_many_values])
def test_values_sent_ahead_cost_what_they_are(work):
    """Pieces of one value, and values of many parameters, take time that grows with their number only."""
    assert grows(work) < 9


def long_names(send) -> None:
    for n in range(3000):
        send(WRITE, pg.parse(f"{n:0256}", "x") + pg.SYNC)
        send(READ, pg.PARSED + pg.READY)


def types_of_the_client(send) -> None:
    for n in range(8):
        send(WRITE, pg.parse(f"s{n}", "x", *range(n << 16, (n << 16) + 0xFFFF)) + pg.SYNC)
        send(READ, pg.PARSED + pg.READY)


def types_of_the_server(send) -> None:
    for n in range(60):
        send(WRITE, pg.parse(f"s{n}", "x") + pg.describe(b"S", f"s{n}") + pg.SYNC)
        told = struct.pack("!H4000I", 4000, *range(n << 16, (n << 16) + 4000))
        send(READ, pg.PARSED + pg.message(b"t", told) + pg.NO_DATA + pg.READY)


def portals(send) -> None:
    for n in range(1000):
        send(WRITE, pg.parse("", f"{n:03000}") + pg.bind(f"{n:0256}", "", b"x" * 1000) + pg.SYNC)
        send(READ, pg.PARSED + pg.BOUND + pg.IN_TRANSACTION)


def portals_that_are_replaced(send) -> None:
    for _ in range(500):
        send(WRITE, pg.bind("", "", b"x" * 9000))


def formats(send) -> None:
    for _ in range(50):
        send(WRITE, pg.bind("", "", formats=(1,) * 0xFFFF) + pg.execute())


def statements_that_are_closed(send) -> None:
    for n in range(100):
        send(WRITE, pg.parse(f"s{n}", "x" * 30_000) + pg.SYNC)
        send(READ, pg.PARSED + pg.READY)
    for n in range(100):
        send(WRITE, pg.close(b"S", f"{n:0256}") + pg.close(b"S", f"s{n}"))


def statements(send) -> None:
    for n in range(3000):
        prepare_mysql(send, n, 1, b"x" * 1000)


def values_ahead(send) -> None:
    prepare_mysql(send, 1, 0xFFFF)
    send(WRITE, b"".join(ahead(at, b"x") for at in range(20_000)))


def values_ahead_that_are_executed(send) -> None:
    prepare_mysql(send, 1, 0xFFFF)
    for _ in range(4):
        send(WRITE, b"".join(ahead(at, b"x") for at in range(4000)) + my.execute(1))


def one_value_ahead(send) -> None:
    prepare_mysql(send, 1, 1)
    send(WRITE, ahead(0, b"x" * 100) * 9000)


def types_of_values(send) -> None:
    for n in range(5):
        prepare_mysql(send, n, 0xFFFF)
        send(WRITE, my.execute(n, b"\xff" * 8192, b"\1", struct.pack("<H", 0x8008 + n) * 0xFFFF))
        send(READ, my.DONE)


def the_last_statement(send) -> None:
    prepare_mysql(send, 1, 0, b"x" * 1_000_000)
    send(WRITE, my.command(0x19, struct.pack("<I", 1)))


FILLERS = {
    Postgres: [long_names, types_of_the_client, types_of_the_server, portals, portals_that_are_replaced, formats,
               statements_that_are_closed],
    MySql: [statements, values_ahead, values_ahead_that_are_executed, one_value_ahead, types_of_values,
            the_last_statement],
}  # fmt: skip


@pytest.mark.parametrize(
    ("parser", "fill"), [(parser, fill) for parser in FILLERS for fill in FILLERS[parser]]
)
def test_what_is_held_is_said(parser, fill):
    """A session filled with the largest fields says all memory that it takes, and not twice as much."""
    stage, send = opened(parser, Limits(max_held=1 << 30))
    held = stage.held
    tracemalloc.start()
    try:
        fill(send)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = stage.held - held
    assert said > 500_000
    assert 0.5 * said - 100_000 < taken < 1.1 * said + 100_000


def test_a_name_has_a_bound():
    """A name that no driver gives is refused with what carries it; the next command is understood."""
    _, send = opened(Postgres)
    assert ["RawData"] == [type(m).__name__ for m in send(WRITE, pg.parse("n" * 257, "SELECT 1"))]
    send(READ, pg.READY)
    send(WRITE, pg.query("SELECT 2"))
    assert ["SELECT 2"] == [m.query for m in send(READ, pg.complete("SELECT 2") + pg.READY)]
