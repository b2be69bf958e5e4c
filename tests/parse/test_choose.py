"""How the stage finds a parser, what it does without one, and that nothing disorders or breaks it."""

from __future__ import annotations

import gc
from collections import Counter
from itertools import pairwise

import pytest
from dialogue import LOCAL, READ, REMOTE, START, WRITE, Dialogue, connection, parse, raw_bytes, run
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.model import (
    Chunk,
    Close,
    ConnectionEvent,
    Gap,
    Http,
    Lost,
    Open,
    RawData,
    Response,
    Summary,
    Totals,
)
from pellucid.parse import Ending, Held, Limits, Parse, Protocol, ProtocolError, Upgrade, Verdict
from pellucid.parse.http1.parser import Http1
from pellucid.parse.raw import raw_all

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Lines(Protocol):
    """A toy: claims `L` and `HL`, keeps all it gets, leaves at `!` and at a gap."""

    @classmethod
    def claims(cls, head, connection):
        """Decide by one letter, or two."""
        if head == b"H":
            return Verdict.MORE
        return Verdict.YES if head.startswith((b"L", b"HL")) else Verdict.NO

    def __init__(self, connection, limits, budget, direction, head):
        self.seen = []

    def feed(self, chunk):
        """Keep everything, until it is too late."""
        if b"!" in chunk.data:
            raise ProtocolError("left", (), [*self.seen, chunk])
        self.seen.append(chunk)
        return []

    def gap(self, gap):
        """Give up."""
        raise ProtocolError("cannot bridge a gap", (), self.seen)

    def close(self, time, ending):
        """Show what was kept."""
        return raw_all(self.seen)

    def holds(self):
        """Count what was kept."""
        return Held(0, sum(len(chunk.data) for chunk in self.seen))

    def shorten(self, most):
        """Has no bodies."""


def shown(messages):
    return [raw_bytes(message) for message in messages if isinstance(message, RawData)]


def test_opening_and_closing():
    """A connection is announced and ended, with what is known of it."""
    opened, closed, _ = Dialogue(mid=True).close().whole()
    assert isinstance(opened, ConnectionEvent)
    assert ("opened", "mid", LOCAL, REMOTE, None) == (
        opened.event,
        opened.started,
        opened.src,
        opened.dst,
        opened.role,
    )
    assert ("closed", 7, 42, "curl") == (closed.event, closed.conn, closed.tid, closed.comm)


@pytest.mark.parametrize(
    ("talk", "role", "src", "dst"),
    [
        (Dialogue() >> GET << OK, "client", LOCAL, REMOTE),
        (Dialogue() << GET >> OK, "server", REMOTE, LOCAL),
        (Dialogue() >> OK, "server", REMOTE, LOCAL),
        (Dialogue() >> b"\x00no HTTP", None, LOCAL, REMOTE),
    ],
    ids=["client", "server", "a response first", "no protocol"],
)
def test_who_closes_is_who_talked(talk, role, src, dst):
    """What a protocol tells of the role is in `opened` and `closed` as in its messages: all have the same `src`."""
    opened, shown, closed, _ = talk.close().whole()
    assert ("opened", role, src, dst) == (opened.event, opened.role, opened.src, opened.dst)
    assert (role, src, dst) == (shown.role, shown.src, shown.dst)
    assert ("closed", role, src, dst) == (closed.event, closed.role, closed.src, closed.dst)


def test_the_role_outlives_its_protocol():
    """After a switch of protocols the raw bytes have the role that the switch was made in."""
    upgrade = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    talk = Dialogue() << upgrade >> b"HTTP/1.1 101 Switching Protocols\r\n\r\n" << b"\x00x"
    http, raw = talk.once()
    assert [Http, RawData] == [type(http), type(raw)]
    assert ("server", REMOTE, LOCAL) == (raw.role, raw.src, raw.dst)


@pytest.mark.parametrize("complete", [True, False])
def test_a_stream_that_broke_off(complete):
    """The summary says whether the stream came to its end."""
    (summary,) = run(parse(), [Totals(START, 1.0, 1, 0, {}, complete)])
    assert summary.complete is complete


def test_the_summary_counts_what_was_shown():
    """What is pending comes before the summary, and the summary counts it."""
    talk = (Dialogue() >> GET << OK >> GET + b"GET").gap(READ, 5)
    *messages, summary = talk.whole()
    assert isinstance(summary, Summary)
    assert {"connection": 1, "http": 2, "data": 1, "lost": 1} == summary.captured
    assert Counter(type(message) for message in messages) == {
        ConnectionEvent: 1,
        Http: 2,
        RawData: 1,
        Lost: 1,
    }


def test_a_gap_is_always_told():
    """The place, the size and the reason of a hole come after what was before it."""
    talk = (Dialogue() >> b"\x00before").gap(WRITE, 9) >> b"after"
    before, lost, after = talk.once()
    assert ("write", 7, 9, "ring_full", 7) == (lost.direction, lost.offset, lost.size, lost.reason, lost.conn)
    assert (0, 16) == (before.offset, after.offset)


def test_a_connection_that_is_nobodys_stays_so():
    """A request line in the middle of another protocol is no request."""
    assert [b"220 hello\r\n", GET] == shown((Dialogue() >> b"220 hello\r\n" >> GET).whole())


def test_after_a_gap_every_chunk_is_a_new_beginning():
    """Where the beginning was not seen, a parser may still claim what comes later."""
    messages = ((Dialogue() >> b"GE").gap(WRITE, 9) >> b"tail" >> GET << OK).once()
    assert [RawData, Lost, RawData, Http] == [type(message) for message in messages]


def test_the_last_chunk_may_begin_what_the_earlier_ones_did_not():
    """Mid-stream, bytes that only looked like a beginning do not hide the real one."""
    messages = (Dialogue(mid=True) >> b"GET x" >> GET << OK).once()
    assert [RawData, Http] == [type(message) for message in messages]


def test_parsers_are_asked_in_order_and_about_all_bytes():
    """The parser that claims gets the held bytes of both directions, and its verdict may take several."""
    talk = Dialogue(parsers=(Lines,)) >> b"H" << b"H" >> b"L" >> b"!" << b"later"
    assert [b"H", b"H", b"L", b"!", b"later"] == shown(talk.whole())


class Switching(Lines):
    """A toy that agrees to speak something else at `!`."""

    @classmethod
    def claims(cls, head, connection):
        """Decide by one letter."""
        return Verdict.YES if head.startswith(b"S") else Verdict.NO

    def feed(self, chunk):
        """Hand over what follows the `!`."""
        before, mark, after = chunk.data.partition(b"!")
        if not mark:
            return super().feed(chunk)
        upgrade = Upgrade("lines", WRITE, None, Response(status=101, reason="", headers=[]))
        rest = [chunk._replace(data=after, offset=chunk.offset + len(before) + 1)]
        raise ProtocolError("switched", raw_all([chunk._replace(data=before)]), rest, upgrade)


class Successor(Lines):
    """A toy that takes over from it, and shows all it gets at once, in capitals."""

    @classmethod
    def claims(cls, head, connection):
        """Never: it begins in the middle only."""
        return Verdict.NO

    @classmethod
    def takes_over(cls, connection, limits, budget, upgrade):
        """Take what is called `lines`."""
        return cls(connection, limits, budget, upgrade.client, b"") if upgrade.name == "lines" else None

    def feed(self, chunk):
        """Hide nothing."""
        return raw_all([chunk._replace(data=chunk.data.upper())])


def test_after_an_upgrade_another_parser_takes_over():
    """What follows the switch goes to the parser that knows its name, from the very next byte, and no byte is lost."""
    talk = Dialogue(parsers=(Switching, Successor)) >> b"S!after" << b"answer"

    assert shown(talk.whole()) == [b"S", b"AFTER", b"ANSWER"]


def test_an_upgrade_that_nobody_takes():
    """Then the rest is raw data."""
    assert shown((Dialogue(parsers=(Switching,)) >> b"S!after" << b"answer").whole()) == [
        b"S",
        b"after",
        b"answer",
    ]


def test_a_parser_that_leaves_at_a_gap():
    """Its bytes come before the hole."""
    talk = (Dialogue(parsers=(Lines,)) >> b"L1").gap(READ, 3) >> b"L2"
    assert [RawData, Lost, RawData] == [type(message) for message in talk.once()]


def test_no_more_is_held_than_the_limit():
    """A first line that is too long is shown without waiting for its end, in one piece or in many."""
    line = b"GET /" + b"a" * 200
    made = connection()
    whole = [Chunk(made, WRITE, 0, START, line)]
    single = [Chunk(made, WRITE, at, START, line[at : at + 1]) for at in range(len(line))]
    for chunks in (whole, single):
        assert line == b"".join(shown(run(Parse([Http1], Limits(max_sniff=100)), chunks)))


def test_connections_do_not_mix():
    """Interleaved connections are parsed apart."""
    stage = parse()
    one, two = connection(1), connection(2)
    flows = [
        Chunk(one, WRITE, 0, START, GET),
        Chunk(two, WRITE, 0, START, GET),
        Chunk(two, READ, 0, START, OK),
        Chunk(one, READ, 0, START, OK),
    ]
    assert [2, 1] == [message.conn for message in run(stage, flows)]


def test_state_is_dropped_with_the_connection():
    """A closed connection leaves nothing behind, and its id may be used again."""
    stage = parse()
    made = connection()
    for _ in range(3):
        messages = run(stage, [Open(made, START), Chunk(made, WRITE, 0, START, GET), Close(made, START)])
        assert [ConnectionEvent, Http, ConnectionEvent] == [type(message) for message in messages]
    assert {} == stage._streams


def test_state_does_not_grow_with_the_exchanges():
    """After 20,000 exchanges on one connection no more objects are alive than after 100."""
    stage = parse()
    made = connection()

    def exchanges(count):
        for _ in range(count):
            assert len(run(stage, [Chunk(made, WRITE, 0, START, GET), Chunk(made, READ, 0, START, OK)])) == 1
        gc.collect()
        return len(gc.get_objects())

    before = exchanges(100)
    assert exchanges(20_000) <= before + 50


def test_endings_complete_their_sentence():
    """The reasons for an ending read well in an error."""
    assert ["the connection closed", "the capture ended"] == [*Ending][:2]


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            GET,
            OK,
            b"HEAD / HTTP/1.1\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n",
            b"POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: br, zstd\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.0 200\r\n\r\n",
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"0\r\nA: b\r\n",
            b"\r\n",
            b"Content-Length: 18446744073709551616\r\n\r\n",
        ]
    ),
    st.integers(1, 100),
)
STEPS = st.lists(st.tuples(st.sampled_from([READ, WRITE]), PIECES), max_size=12)


def fuzzed(steps, *, mid):
    """Turn steps into a flow: bytes are chunks, numbers are gaps."""
    made = connection(mid=mid)
    offsets = {READ: 0, WRITE: 0}
    for time, (direction, piece) in enumerate(steps, START):
        size = piece if isinstance(piece, int) else len(piece)
        if isinstance(piece, int):
            yield Gap(made, direction, offsets[direction], time, piece, "unreadable")
        else:
            yield Chunk(made, direction, offsets[direction], time, piece)
        offsets[direction] += size
    yield Totals(START, 1.0, 1, 0, {})


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(STEPS, st.booleans())
@example([(WRITE, b"GET / HTTP/1.1\r\nContent-Length: " + b"0" * 5000 + b"1\r\n\r\n")], False)
def test_any_bytes(steps, mid):
    """Any bytes in any split produce messages, never an exception, and raw bytes and parsed never reorder."""
    flows = list(fuzzed(steps, mid=mid))
    messages = run(Parse([Http1], Limits(max_body=8, max_head=128, max_pending=2)), flows)
    sent = {READ: bytearray(), WRITE: bytearray()}
    for flow in flows[:-1]:
        sent[flow.direction] += flow.data if isinstance(flow, Chunk) else bytes(flow.size)
    assert isinstance(messages[-1], Summary)
    for name, direction in (("read", READ), ("write", WRITE)):
        raw = [message for message in messages if isinstance(message, RawData) and message.direction == name]
        for message in raw:
            at = message.offset
            assert raw_bytes(message) == sent[direction][at : at + message.size]
        assert all(one.offset + one.size <= two.offset for one, two in pairwise(raw))


@pytest.mark.parametrize("mid", [False, True])
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(data=st.lists(st.tuples(st.sampled_from([READ, WRITE]), st.binary(max_size=20)), max_size=10))
def test_garbage_is_shown_completely(mid, data):
    """Bytes that never contain a start line come out exactly, none missing, none twice."""
    messages = run(parse(), fuzzed(data, mid=mid))
    for name, direction in (("read", READ), ("write", WRITE)):
        raw = [message for message in messages if isinstance(message, RawData) and message.direction == name]
        assert b"".join(piece for way, piece in data if way == direction) == b"".join(map(raw_bytes, raw))
