"""The shape of a query: what differs in values only is one, what differs otherwise is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.audit.shape import MOST, shape_of


@pytest.mark.parametrize(
    ("server", "text", "shape"),
    [
        ("mysql", "SELECT *\n FROM goods -- old\n WHERE id = 5;", "SELECT * FROM goods WHERE id = ?"),
        ("mysql", "SELECT 'it''s', \"a\\\"b\", 'c\\'d'", "SELECT ?, ?, ?"),
        ("mysql", "SELECT 1 # x\n, 0xFF, .5, 1e-5 FROM t1", "SELECT ?, ?, ?, ? FROM t1"),
        ("mysql", "SELECT `1 'a'` FROM Goods", "SELECT `1 'a'` FROM Goods"),
        ("mysql", "SELECT 1--1", "SELECT ? - ?"),
        ("mysql", "SELECT count(*), t . * FROM t", "SELECT count(*), t.* FROM t"),
        ("mysql", "SELECT `a=b`, `c  d` FROM t", "SELECT `a=b`, `c  d` FROM t"),
        ("postgres", "SELECT a :: int, b->>'c', d @> e FROM t", "select a::int, b ->> ?, d @> e from t"),
        ("mysql", "INSERT INTO t VALUES (1,'a'), (-2, 'b')", "INSERT INTO t VALUES (...)"),
        ("mysql", "SELECT 1 WHERE a IN (1, 2, 3) AND b IN (4)", "SELECT ? WHERE a IN (...) AND b IN (...)"),
        ("mysql", "SELECT 'never ends", "SELECT ?"),
        ("postgres", 'Select "Name" From T Where a = $1', 'select "Name" from t where a = ?'),
        ("postgres", "SELECT 'a\\', E'b\\'c', $$d$$, $x$e$$f$x$", "select ?, ?, ?, ?"),
        ("postgres", "SELECT a$1, t1.x FROM t1 /* 'c' */", "select a$1, t1.x from t1"),
    ],
)  # fmt: skip
def test_what_is_left(server, text, shape):
    """Values, comments and space are gone, names and everything else are as they were."""
    assert shape_of(text, server) == shape


@pytest.mark.parametrize("server", ["mysql", "postgres"])
@pytest.mark.parametrize(
    "texts",
    [
        ["a = 1", "a=1", "a= 2", "a =3", "a\n=\t4", "a=/* five */5", "a=-6", "a = - 7"],
        ["a>=1 AND b<>2", "a >= 1 AND b <> 2"],
        ["a+b*2-c%3", "a + b * 2 - c % 3"],
        ["a||'x'", "a || 'x'"],
        ["a IN (1,2)", "a IN(1, -2, 3)", "a IN ( 1 )"],
        ["f(a,b,1)", "f( a , b , 1 )"],
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_blanks_make_no_difference(server, texts):
    """Texts that differ in blanks round operators, commas and brackets, and in values, have one shape."""
    assert len({shape_of(f"SELECT x FROM t WHERE {text} ORDER BY y", server) for text in texts}) == 1


def test_long_text():
    """A text beyond the limit says so, and costs no more than one at it."""
    shape = shape_of("SELECT " + "a, " * MOST, "mysql")
    assert shape.endswith(" ...")
    assert len(shape) <= MOST + 4


@given(st.text(), st.sampled_from(["mysql", "postgres"]), st.integers(0), st.integers(0))
def test_any_text(text, server, one, other):
    """Any text has a shape, and two numbers in front of it make no other one."""
    assert shape_of(f"{one} {text}", server)[:1] == "?"
    if len(text) < MOST - 50:
        assert shape_of(f"{one} {text}", server) == shape_of(f"{other} {text}", server)
