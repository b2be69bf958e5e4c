"""The memory of all connections together: never above its limit, shared fairly, and nothing dropped unsaid."""

from __future__ import annotations

import hashlib

import pytest
from dialogue import READ, START, WRITE, connection, raw_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.model import Chunk, Http, Open, RawData, Totals
from pellucid.parse import Limits, Parse
from pellucid.parse.budget import CONNECTION_COST
from pellucid.parse.evict import equal_share
from pellucid.parse.http1.parser import Http1

KIB = 1024
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Talk:
    """Connections of one stage whose memory is limited; `peak` is the most that they ever held."""

    def __init__(self, number: int, limit: int) -> None:
        self.stage = Parse([Http1], Limits(max_held=limit))
        self.ends = [connection(id) for id in range(number)]
        self.offsets = [[0, 0] for _ in self.ends]
        self.messages = []
        self.peak = 0
        for end in self.ends:
            self.feed(Open(end, START))

    def feed(self, flow) -> None:
        """Hand one value to the stage, and look at what is held."""
        self.messages += self.stage.parse(flow)
        self.peak = max(self.peak, self.stage.held)

    def say(self, id, direction, data, size=16 * KIB) -> None:
        """Bytes of one direction of a connection, in pieces."""
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self.feed(Chunk(self.ends[id], direction, self.offsets[id][direction], START, piece))
            self.offsets[id][direction] += len(piece)

    def end(self) -> None:
        """The capture ends."""
        self.feed(Totals(START, 1.0, 1, 0, {}))

    def shown(self, kind, id=None):
        """The messages of one kind, of all or of one connection."""
        return [m for m in self.messages if isinstance(m, kind) and id in {None, m.conn}]


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def patterned(id: int, size: int) -> bytes:
    return (b"%07d\n" % id * (size // 8 + 1))[:size]


def digest(request) -> str:
    """Of the whole body: as the message says, or of what it shows when that is all."""
    return request.sha256 or hashlib.sha256(request.body.encode()).hexdigest()


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.integers(0, 60 * KIB), min_size=2, max_size=12),
    st.integers(1, 5000),
    st.randoms(use_true_random=False),
)
def test_bodies_share_what_there_is(sizes, piece, random):
    """However uploads interleave, the limit holds, and every exchange tells the size and hash of its whole body."""
    limit = 256 * KIB
    talk = Talk(len(sizes), limit)
    bodies = [patterned(id, size) for id, size in enumerate(sizes)]
    left = {id: post(body) for id, body in enumerate(bodies)}
    while left:
        id = random.choice(sorted(left))
        talk.say(id, WRITE, left[id][:piece])
        left[id] = left[id][piece:]
        if not left[id]:
            del left[id]
    for id in range(len(sizes)):
        talk.say(id, READ, OK)

    assert talk.peak <= limit
    shown = talk.shown(Http)
    assert len(shown) == len(sizes)
    for message in shown:
        body = bodies[message.conn]
        kept = message.request.body.encode()
        assert message.request.size == len(body)
        assert digest(message.request) == hashlib.sha256(body).hexdigest()
        assert body.startswith(kept)
        assert message.truncated == (len(kept) < len(body)) == (message.error is not None)


def test_the_largest_lose_first():
    """When memory runs short the biggest bodies are cut to an equal share, and the small ones stay whole."""
    talk = Talk(4, 200 * KIB)
    for id, size in enumerate((80 * KIB, 80 * KIB, 4 * KIB, 10 * KIB)):
        talk.say(id, WRITE, post(patterned(id, size)))
    for id in range(4):
        talk.say(id, READ, OK)

    kept = [len(message.request.body) for message in talk.shown(Http)]
    assert kept[2:] == [4 * KIB, 10 * KIB]
    assert 30 * KIB < min(kept[:2]) < 80 * KIB
    cut = "the request body is cut: memory ran short (--memory)"
    assert [message.error for message in talk.shown(Http)][-2:] == [None, None]
    assert cut in {message.error for message in talk.shown(Http)}


def test_after_a_shortage_everything_is_as_before():
    """A connection whose body was cut shows the next one whole."""
    talk = Talk(2, 100 * KIB)
    for id in (0, 1):
        talk.say(id, WRITE, post(patterned(id, 80 * KIB)))
    for id in (0, 1):
        talk.say(id, READ, OK)
        talk.say(id, WRITE, post(b"small"))
        talk.say(id, READ, OK)

    assert [message.truncated for message in talk.shown(Http)] == [True, False] * 2


def test_heads_are_shown_rather_than_lost():
    """Where no body can be cut connections give up: every byte is shown as raw data, the next message as ever."""
    limit = 100 * KIB
    talk = Talk(4, limit)
    head = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: \xc3\xa9" + b"x" * 60 * KIB  # text that may be wide
    for id in range(4):
        talk.say(id, WRITE, head, size=1000)
    for id in range(4):
        talk.say(id, WRITE, b"\r\n\r\n")
        talk.say(id, WRITE, GET)
        talk.say(id, READ, OK)
    talk.end()

    assert talk.peak <= limit
    raw = [b"".join(raw_bytes(message) for message in talk.shown(RawData, id)) for id in range(4)]
    assert raw.count(head + b"\r\n\r\n") >= 2
    assert all(text in {b"", head + b"\r\n\r\n"} for text in raw)
    last = [talk.shown(Http, id)[-1] for id in range(4)]
    assert [(message.response.status, message.error, message.role) for message in last] == [
        (200, None, "client")
    ] * 4


def test_pending_requests_are_shown():
    """Requests that nobody answers pile up no further than the limit: shown early, with the reason."""
    limit = 400 * KIB
    talk = Talk(10, limit)
    for id in range(10):
        talk.say(id, WRITE, GET * 100)
    talk.end()

    assert talk.peak <= limit
    assert len(talk.shown(Http)) == 1000
    reasons = {message.error for message in talk.shown(Http)}
    assert "no response before memory ran short (--memory)" in reasons


def test_undecided_bytes_are_shown():
    """What no parser has claimed yet is shown as raw data when memory is short, and nothing of it is missing."""
    limit = 200 * KIB
    talk = Talk(20, limit)
    for id in range(20):
        talk.say(id, WRITE, b"GET /" + b"a" * 10 * KIB)
    talk.end()

    assert talk.peak <= limit
    assert [sum(message.size for message in talk.shown(RawData, id)) for id in range(20)] == [
        10 * KIB + 5
    ] * 20


def test_idle_connections():
    """Of connections that are only open, no more is kept than that they are; then they go on as they were."""
    limit = 200 * (CONNECTION_COST + 512)
    talk = Talk(200, limit)
    for _ in range(2):
        for id in range(200):
            talk.say(id, WRITE, GET)
            talk.say(id, READ, OK)

    assert talk.peak <= limit
    assert len(talk.shown(Http)) == 400
    assert {(message.response.body, message.error) for message in talk.shown(Http)} == {("ok", None)}
    assert not talk.shown(RawData)


def test_more_connections_than_fit():
    """Where open connections alone are too many, nothing is lost by it, and nobody looks again at each chunk."""
    talk = Talk(100, 50 * CONNECTION_COST)
    held = talk.stage.held
    for id in range(100):
        talk.say(id, WRITE, GET)
        talk.say(id, READ, OK)

    assert held == 100 * CONNECTION_COST
    assert talk.stage.held < held + 50 * CONNECTION_COST
    assert [message.response.status for message in talk.shown(Http) if message.response] == [200] * 100


def test_what_all_refuse_stays_refused():
    """A connection that no parser wants is not offered again because memory was short."""
    talk = Talk(3, 30 * KIB)
    talk.say(0, WRITE, b"\x00nothing known\n")
    for id in (1, 2):
        talk.say(id, WRITE, GET * 10)
    talk.say(0, WRITE, GET)

    assert [raw_bytes(message) for message in talk.shown(RawData, 0)] == [b"\x00nothing known\n", GET]


@pytest.mark.parametrize(
    ("sizes", "most", "share"),
    [([], 10, 0), ([1, 2, 3], 6, 3), ([1, 2, 3], 5, 2), ([9, 1, 9], 11, 5), ([4, 4], 0, 0), ([5], 3, 3)],
)
def test_equal_share(sizes, most, share):
    """It is the largest with which all sizes, cut down to it, fit."""
    assert equal_share(sizes, most) == share
