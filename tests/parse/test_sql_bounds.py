"""What hostile bytes cost the parsers of databases: time that grows with their number, memory that is counted."""

from __future__ import annotations

import struct
import time
from functools import partial

import pytest
import test_mysql as my
import test_postgres as pg
from dialogue import READ, START, WRITE, connection, run

from pellucid.model import Chunk
from pellucid.parse import Limits, Parse
from pellucid.parse.mysql.parser import MySql
from pellucid.parse.mysql.session import database_after
from pellucid.parse.postgres.parser import Postgres
from pellucid.parse.postgres.values import binary_value
from pellucid.parse.sql.command import begins_statement, may_begin_statement

CALL = 16 * 1024
"""Bytes of a record of TLS: a long message comes in as many chunks."""

QUARTER, WHOLE = 64 * 1024, 256 * 1024
"""Sizes that are compared: four times as many bytes may take four times as long, a square of them sixteen times."""


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
    partial(database_after, before="a", failed=False),
    query_postgres,
    query_mysql,
]


def prepared_mysql(parameters: int):
    stage, send = opened(MySql)
    send(WRITE, my.command(0x16, b"SELECT ?"))
    send(
        READ,
        my.packets(
            1, my.prepared(1, 0, parameters), *[my.COLUMN] * parameters, *[my.eof()] * bool(parameters)
        ),
    )
    return stage, send


def ahead(parameter: int, data: bytes = b"") -> bytes:
    return my.command(0x18, struct.pack("<IH", 1, parameter), data)


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
