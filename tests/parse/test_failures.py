"""A parser that raises what it must not: its connection becomes raw data, the log says so, all others go on."""

from __future__ import annotations

import logging

import pytest
from dialogue import READ, WRITE, Dialogue, connection, parse, raw_bytes, run

from pellucid.model import Chunk, Gap, Http, Lost, RawData, Summary
from pellucid.parse import Held, Limits, Parse, Protocol, Verdict
from pellucid.parse.http1.parser import Http1

SECRET = b"hunter2"


@pytest.fixture
def failing_parsers():
    """Here they are what is tested."""


class Fragile(Protocol):
    """Takes what begins with `F`, and raises in the function `where`, with a captured byte in the words."""

    where = ""

    @classmethod
    def _may_fail(cls, name):
        if name == cls.where:
            raise RuntimeError(SECRET)

    @classmethod
    def claims(cls, head, connection):
        """Claim its letter."""
        cls._may_fail("claims")
        return Verdict.YES if head.startswith(b"F") else Verdict.NO

    @classmethod
    def takes_over(cls, connection, limits, budget, upgrade):
        """Take over from nobody."""
        cls._may_fail("takes_over")

    def __init__(self, connection, limits, budget, direction, head):
        self._may_fail("__init__")

    def feed(self, chunk):
        """Show nothing."""
        self._may_fail("feed")
        return []

    def gap(self, gap):
        """Show nothing."""
        self._may_fail("gap")
        return []

    def close(self, time, ending):
        """Show nothing."""
        self._may_fail("close")
        return []

    def holds(self):
        """Say that it is too much."""
        self._may_fail("holds")
        return Held(1 << 20, 0)

    def shorten(self, most):
        """Give nothing back."""
        self._may_fail("shorten")


def fragile(where):
    """The same for one function."""
    return type("Fragile", (Fragile,), {"where": where})


def failing(where, caplog):
    """What the stage makes of a connection whose parser fails, and of one beside it; and the log."""
    bad, good = connection(1), connection(2)
    stage = Parse([fragile(where), Http1], Limits(max_held=1 << 16))
    with caplog.at_level(logging.ERROR, "pellucid"):
        messages = run(stage, [
            Chunk(bad, WRITE, 0, 1, b"F" + SECRET), Gap(bad, WRITE, 8, 2, 3, "ring_full"),
            Chunk(good, WRITE, 0, 3, b"GET / HTTP/1.1\r\n\r\n"), Chunk(bad, WRITE, 11, 4, b"x" * 100_000),
            Chunk(bad, WRITE, 100_011, 5, b"more"),
            Chunk(good, READ, 0, 6, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ])  # fmt: skip
    return messages, caplog.text


@pytest.mark.parametrize("where", ["claims", "__init__", "feed", "gap", "holds", "shorten"])
def test_a_parser_that_fails(where, caplog):
    """What comes from there on is raw data, the connection beside it is understood, and the log has no captured byte."""
    messages, told = failing(where, caplog)
    raws = [message for message in messages if isinstance(message, RawData)]
    assert raws[-1].data == "more"
    assert [message.response.status for message in messages if isinstance(message, Http)] == [200]
    assert [type(message) for message in messages].count(Lost) == 1
    assert ".Fragile failed" in told
    assert SECRET.decode() not in told


def test_the_chunk_at_which_it_failed_is_shown(caplog):
    """Not one byte of it is missing."""
    messages, _ = failing("feed", caplog)
    raws = [message for message in messages if isinstance(message, RawData)]
    assert raw_bytes(raws[0]) == b"F" + SECRET


def test_one_that_fails_at_the_end(caplog):
    """The summary comes all the same."""
    talk = Dialogue(parsers=(fragile("close"),)) >> b"F"
    assert isinstance(talk.whole()[-1], Summary)
    assert "RuntimeError at test_failures.py:" in caplog.text


def test_one_that_fails_at_an_upgrade(caplog):
    """What follows is raw data, and the handshake is shown."""
    switch = b"HTTP/1.1 101 Switching\r\nUpgrade: f\r\n\r\n"
    talk = Dialogue(parsers=(Http1, fragile("takes_over"))) >> b"GET / HTTP/1.1\r\n\r\n" << switch + b"F"
    assert [type(message) for message in talk.once()] == [Http, RawData]
    assert "RuntimeError" in caplog.text


def test_each_kind_is_logged_once(caplog):
    """A thousand connections that meet the same bug are two lines: the first one, and at the end their number."""
    stage = Parse([fragile("feed")], Limits())
    run(stage, (Chunk(connection(number), WRITE, 0, 1, b"F") for number in range(1000)))
    run(stage, list((Dialogue() >> b"F").flows())[-1:])
    assert len(caplog.records) == 2
    assert "failed 1000 times" in caplog.records[-1].getMessage()


@pytest.mark.interpreted
def test_what_was_pending_is_shown(monkeypatch, caplog):
    """A request whose response breaks its parser is shown without one, and says why."""
    stage = parse()
    talk = list((Dialogue() >> b"GET / HTTP/1.1\r\n\r\n" << b"HTTP/1.1 200 OK\r\n\r\n").flows())
    run(stage, talk[:2])

    def fail(*_):
        raise ValueError

    monkeypatch.setattr(Http1, "_begin_response", fail)
    exchange, raw = run(stage, talk[2:3])
    assert exchange.error == "no response before the parser failed (see the log)"
    assert raw.data == "HTTP/1.1 200 OK\r\n\r\n"
    assert "Http1 failed (ValueError" in caplog.text
