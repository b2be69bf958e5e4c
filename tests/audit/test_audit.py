"""Which queries are shown, and what their table says."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.audit import Audit, Wanted
from pellucid.audit.shapes import FEW, MOST_SHAPES
from pellucid.model import Lost, Query, QueryError

NOBODY = Wanted()
BEGAN = 1_767_225_600 * 10**9
"""The time of each query, in ns."""


def query(text="SELECT 1", **changes):
    """A query as a parser makes it."""
    fields = {
        "ts": "2026-01-01T00:00:00.000000Z", "pid": 1, "tid": 1, "uid": 0, "comm": "mysqld", "executable": None,
        "container": None, "library": "mysqld", "conn": 1, "src": None, "dst": None, "role": "server",
        "server": "mysql", "user": "anna", "database": "shop", "kind": "query", "query": text, "rows": 1,
        "duration_ms": 2.0,
    }  # fmt: skip
    return Query(**{**fields, **changes})


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        (Wanted(users=["anna"]), [{"user": "ben"}, {"user": None}]),
        (Wanted(databases=["shop", "bank"]), [{"database": "x"}, {"database": None}]),
        (Wanted(kinds=["query"]), [{"kind": "execute"}]),
        (Wanted(slower_than=2.0), [{"duration_ms": 1.9}, {"duration_ms": None}]),
        (Wanted(users=["anna"], kinds=["query"]), [{"user": "ben"}, {"kind": "ping"}]),
    ],
    ids=["user", "database", "kind", "duration", "two"],
)
def test_what_is_wanted(wanted, others):
    """A query is shown if every filter allows it; what is not known of it is allowed by none."""
    audit = Audit(wanted)
    assert audit.wants(query(), BEGAN)
    assert not any(audit.wants(query(**other), BEGAN) for other in others)


@pytest.mark.parametrize("waited", [0, 1.999, 2.0, 3_600_000.0])
def test_a_query_without_an_answer(waited):
    """It is slower than so many milliseconds if it has waited as long when nobody waits for it any more."""
    audit = Audit(Wanted(slower_than=2.0))
    shown = audit.wants(query(duration_ms=None), BEGAN + round(waited * 1e6))
    assert shown == (waited >= 2.0)
    assert Audit(Wanted(slower_than=0)).wants(query(duration_ms=None), BEGAN)


def test_no_answer_has_no_duration():
    """A query without an answer counts, and changes neither what its shape took in all nor the percentiles."""
    row = table_of(7.0, None, 9.0)
    assert (row.count, row.total_ms, row.p50_ms, row.p99_ms) == (3, 16.0, 7.0, 9.0)


def test_other_messages_are_not_judged():
    """What is lost is said, whatever queries are asked for."""
    lost = Lost(ts="", conn=1, direction="read", offset=0, size=1, reason="ring_full")
    assert Audit(Wanted(users=["anna"])).wants(lost, BEGAN)


def test_the_table():
    """Only shown queries that run a text count, each shape once, those that took longest first."""
    audit = Audit(Wanted(users=["anna"]), fingerprint=True)
    failure = QueryError(code="1146", message="no such table")
    for each in (
        query("SELECT 1"), query("SELECT 2", rows=3), query("SELECT 3", failure=failure, rows=None),
        query("DELETE FROM t", duration_ms=100.0), query("SELECT 4", user="ben"), query(None), query("x", kind="prepare"),
        query("shop", kind="init_db"), query("SELECT 5", kind="stmt_reset"),
    ):  # fmt: skip
        audit.wants(each, BEGAN)
    table = [(row.shape, row.count, row.rows, row.errors, row.total_ms) for row in audit.table("")]
    assert table == [("DELETE FROM t", 1, 1, 0, 100.0), ("SELECT ?", 3, 4, 1, 6.0)]
    assert [*Audit(NOBODY).table("")] == []


def test_percentiles():
    """Percentiles are those of the durations, to the 4.4 % that they promise."""
    numbers = random.Random(4711)
    durations = [numbers.lognormvariate(0, 2) for _ in range(5000)]
    audit = Audit(NOBODY, fingerprint=True)
    for duration in durations:
        audit.wants(query(duration_ms=duration), BEGAN)
    [row] = audit.table("")
    cuts = statistics.quantiles(durations, n=100, method="inclusive")
    assert row.p50_ms == pytest.approx(cuts[49], rel=0.06)
    assert row.p99_ms == pytest.approx(cuts[98], rel=0.06)


def table_of(*durations):
    """The only row of the table of queries that took so long."""
    audit = Audit(NOBODY, fingerprint=True)
    for duration in durations:
        audit.wants(query(duration_ms=duration), BEGAN)
    [row] = audit.table("")
    return row


def test_percentiles_of_few():
    """Of up to 100 queries a percentile is the duration of one of them: of one query its own."""
    one, two, most = table_of(0.137), table_of(7.3, 0.137), table_of(*(n + 0.5 for n in range(FEW, 0, -1)))
    assert (one.p50_ms, one.p99_ms) == (0.137, 0.137)
    assert (two.p50_ms, two.p99_ms) == (0.137, 7.3)
    assert (most.p50_ms, most.p99_ms) == (FEW / 2 + 0.5, FEW * 99 // 100 + 0.5)
    assert table_of(None).p50_ms is None


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=2 * FEW))
def test_percentiles_are_within(durations):
    """No percentile is below the shortest duration, or above the longest."""
    row = table_of(*durations)
    assert min(durations) <= row.p50_ms <= row.p99_ms <= max(durations)


def test_more_shapes_than_are_kept():
    """What has no room of its own is counted with the rest, and nothing is left out."""
    audit = Audit(NOBODY, fingerprint=True)
    for number in range(MOST_SHAPES + 7):
        audit.wants(query(f"SELECT a{number}"), BEGAN)
    table = {row.shape: row.count for row in audit.table("")}
    assert len(table) == MOST_SHAPES + 1
    assert table[None] == 7
