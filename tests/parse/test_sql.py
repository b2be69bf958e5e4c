"""What the parsers of databases share: texts, statements that are remembered, and memory."""

from __future__ import annotations

import struct
from itertools import groupby

import pytest
import test_mysql as my
import test_postgres as pg
from dialogue import READ, START, WRITE, connection, run
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.model import Chunk, Gap, Query, Totals
from pellucid.parse import Limits, Parse
from pellucid.parse.mysql.parser import MySql
from pellucid.parse.postgres.parser import Postgres
from pellucid.parse.sql.command import (
    SqlText,
    Statement,
    Statements,
    begins_statement,
    may_begin_statement,
    single_value,
)


@pytest.mark.parametrize(
    "text",
    ["SELECT 1", "  select\n1", "/* a */ -- b\n# c\n(Select 1)", "with\tx as (select 1) select", "COMMIT", "BEGIN;",
     "/*!40101 SET a */ set b", "values(1)"],
)  # fmt: skip
def test_how_statements_begin(text):
    """A statement is known by its first word, behind comments; every beginning of it may become one."""
    assert begins_statement(text.encode())
    for size in range(len(text)):
        assert begins_statement(text.encode()[:size]) or may_begin_statement(text.encode()[:size])


@pytest.mark.parametrize("text", ["", "selection", "hello", "{}", "<a>", "12", "selects 1", "/* select 1"])
def test_what_is_no_statement(text):
    """Words that only look like the first word of a statement are none."""
    assert not begins_statement(text.encode() + b"!" * bool(text))


@pytest.mark.parametrize("number", [0.1, 1.1, 3.4028234663852886e38, -1e-45, 16777216.0, 0.0])
def test_numbers_of_32_bits_have_their_own_digits(number):
    """A float of 32 bits is shown with as few digits as tell it apart."""
    single = struct.unpack("<f", struct.pack("<f", number))[0]
    shown = single_value(single)
    assert single == struct.unpack("<f", struct.pack("<f", shown))[0]
    assert len(f"{shown}") <= len("3.4028235e+38")


def test_statements_are_forgotten_oldest_first():
    """Of statements so much text is kept as there is room for; the youngest are known."""
    known = Statements(100)
    for number in range(10):
        known.put(number, Statement(SqlText(b"x" * 30, 30)))
    assert [7, 8, 9] == [number for number in range(10) if known.get(number)]
    known.put(8, Statement(SqlText(b"y", 1)))
    assert known.get(9)
    known.clear()
    assert 0 == known.size


LOGINS = {
    Postgres: [(WRITE, pg.LOGIN), (READ, pg.AUTHENTICATED)],
    MySql: [(WRITE, my.login()), (READ, my.packets(3, my.ok()))],
}
QUERIES = {Postgres: pg.query, MySql: my.query}
PREPARE = {
    Postgres: lambda number: pg.parse(f"s{number}", "SELECT " + "x" * 900),
    MySql: lambda number: my.command(0x16, b"SELECT " + b"x" * 900),
}


def opened(parser, id, limits):
    """Return a stage with a connection that has logged in, and how bytes are passed on."""
    stage = Parse([parser], limits)
    made = connection(id)

    def send(direction, data):
        return run(stage, [Chunk(made, direction, 0, START, data)])

    for direction, data in LOGINS[parser]:
        send(direction, data)
    return stage, send


@pytest.mark.parametrize("parser", [Postgres, MySql])
def test_memory_is_given_back(parser):
    """What is held of commands is given back when they are answered, also after many."""
    stage, send = opened(parser, 1, Limits())
    answer = pg.complete("SELECT 1") + pg.READY if parser is Postgres else my.DONE
    send(WRITE, QUERIES[parser]("SELECT 1"))
    send(READ, answer)
    held = stage.held
    for _ in range(50):
        send(WRITE, QUERIES[parser]("SELECT " + "x" * 100_000))
        assert stage.held > held + 100_000
        send(READ, answer)
    assert held == stage.held


@pytest.mark.parametrize("parser", [Postgres, MySql])
def test_the_budget_holds(parser):
    """Where memory is short, texts are cut and say so, then what waits is shown: the limit is never exceeded."""
    limits = Limits(max_held=1 << 20)
    stage, send = opened(parser, 1, limits)
    out = []
    for number in range(40):
        out += send(WRITE, QUERIES[parser]("SELECT " + "x" * 100_000))
        out += send(WRITE, PREPARE[parser](number))
        assert stage.held <= limits.max_held
    out += run(stage, [Totals(START, 1.0, 1, 0, {})])
    queries = [m for m in out if isinstance(m, Query) and m.kind == "query"]
    assert 40 == len(queries)
    assert any(m.truncated for m in queries)
    assert all(m.error for m in queries)


def conversation(parser, number):
    """Return what is sent and answered: each command changes or returns as many rows as its text says."""
    for n in range(1, number):
        text = f"SELECT {n}" if n % 2 else f"UPDATE {n}"
        if parser is MySql:
            yield my.query(text), my.packets(1, *(my.rows(n, old=True) if n % 2 else [my.ok(n)]))
        elif n % 3:
            yield pg.query(text), pg.ROW * (n if n % 2 else 0) + pg.complete(text) + pg.READY
        else:
            sent = pg.parse("", text) + pg.bind("", "") + pg.execute() + pg.SYNC
            yield sent, pg.PARSED + pg.BOUND + pg.complete(text) + pg.READY


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([Postgres, MySql]),
    st.lists(
        st.tuples(st.sampled_from([READ, WRITE]), st.integers(0, 3000), st.integers(1, 400)), max_size=4
    ),
    st.integers(1, 200),
)
def test_holes_make_nothing_wrong(parser, holes, size):
    """Wherever bytes are lost, no command is shown with the rows of another one."""
    made, stage, offsets, out = connection(1), Parse([parser], Limits()), {READ: 0, WRITE: 0}, []
    lost = {(direction, at) for direction, begin, length in holes for at in range(begin, begin + length)}

    def pass_on(direction, data):
        for is_lost, places in groupby(
            range(len(data)), lambda at: (direction, offsets[direction] + at) in lost
        ):
            run_of = list(places)
            first, last = run_of[0], run_of[-1]
            offset, step = offsets[direction] + first, 1 if is_lost else size
            if is_lost:
                out.extend(run(stage, [Gap(made, direction, offset, START, last - first + 1, "ring_full")]))
                continue
            for at in range(first, last + 1, step):
                piece = data[at : min(at + step, last + 1)]
                out.extend(run(stage, [Chunk(made, direction, offsets[direction] + at, START, piece)]))
        offsets[direction] += len(data)

    for direction, data in LOGINS[parser]:
        pass_on(direction, data)
    for sent, answered in conversation(parser, 24):
        pass_on(WRITE, sent)
        pass_on(READ, answered)
    out += run(stage, [Totals(START, 1.0, 1, 0, {})])
    shown = [m for m in out if isinstance(m, Query) and m.kind in {"query", "execute"} and m.query]
    for message in shown:
        assert message.failure is None
        if message.rows is not None and message.error is None:
            assert message.query.split()[-1] == str(message.rows)
    if not lost:
        assert 23 == len(shown)
