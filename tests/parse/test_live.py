"""Bodies of HTTP/1 that are read while they arrive, and connections that are handed over after a switch."""

from __future__ import annotations

import pytest
from dialogue import READ, START, STEP, WRITE, Dialogue, connection, raw_bytes

from pellucid.model import Chunk, Http, Lost, RawData, ServerSentEvent
from pellucid.parse import Held, Limits, Protocol, Upgrade, Verdict, readers
from pellucid.parse.bodies.carried import Carried, Live
from pellucid.parse.budget import Budget
from pellucid.parse.http1.parser import Http1
from pellucid.parse.raw import DIRECTIONS, raw_all, who
from pellucid.parse.times import rfc3339

GET = b"GET /feed HTTP/1.1\r\nHost: a.example\r\n\r\n"
TOY = b"HTTP/1.1 200 OK\r\nContent-Type: Text/X-Toy+v1; a=b\r\n"
CHUNKED = TOY + b"Transfer-Encoding: chunked\r\n\r\n"


class Toy(Live):
    """Shows each line, each hole and the end."""

    def __init__(self, carried: Carried, limits: Limits) -> None:
        self._carried = carried
        self._line = b""

    def feed(self, data, time):
        """Show what ends with a newline."""
        *lines, self._line = (self._line + data).split(b"\n")
        return [self._show(line.decode(), time) for line in lines]

    def lose(self, size, time):
        """Say how much."""
        return [self._show(f"lost {size}", time)]

    def end(self, time, ending):
        """Say why, and what is pending."""
        return [self._show(f"{self._line.decode()} end: {ending}", time)]

    @property
    def cost(self):
        """Each byte that is held, and a kilobyte."""
        return 1024 + len(self._line)

    def _show(self, text, time):
        carried = self._carried
        return ServerSentEvent(
            ts=rfc3339(time),
            stream=carried.stream,
            url=carried.url,
            direction=DIRECTIONS[carried.direction],
            data=text,
            **who(carried.connection),
        )


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Toys are what `text/x-toy` bodies are read by."""
    monkeypatch.setitem(readers._READERS, "text/x-toy", Toy)
    readers.reader_of.cache_clear()
    yield
    readers.reader_of.cache_clear()


def told(messages):
    """What was shown of bodies as they came, and of exchanges by the size of the response."""
    shown = {ServerSentEvent: lambda m: m.data, Http: lambda m: m.response.size, Lost: lambda m: "hole"}
    return [shown[type(message)](message) for message in messages]


@pytest.mark.parametrize(
    "response",
    [
        CHUNKED + b"2\r\na\n\r\n3\r\nb\nc\r\n0\r\n\r\n",
        TOY + b"Content-Length: 5\r\n\r\na\nb\nc",
    ],
    ids=["chunked", "sized"],
)
def test_pieces_come_before_their_exchange(response):
    """A body is handed on without its framing, its pieces and its end are shown first, and it is kept as ever."""
    messages = (Dialogue() >> GET << response).messages()

    assert told(messages) == ["a", "b", "c end: None", 5]
    assert messages[-1].response.body == "a\nb\nc"
    assert [(m.url, m.direction, m.stream) for m in messages[:-1]] == [("/feed", "read", None)] * 3


def test_pieces_come_at_once():
    """What has arrived is shown while the response goes on, with the time of the bytes that completed it."""
    talk = Dialogue() >> GET << CHUNKED << b"2\r\na\n\r\n" << b"2\r\nb\n\r\n"
    messages = [m for m in talk.whole() if isinstance(m, ServerSentEvent)]

    assert [(m.data, m.ts) for m in messages[:2]] == [
        ("a", rfc3339(START + 3 * STEP)),
        ("b", rfc3339(START + 4 * STEP)),
    ]
    assert messages[2].data == " end: the capture ended"


def test_a_body_that_ends_with_its_connection():
    """Closing is its proper end."""
    messages = (Dialogue() >> GET << TOY + b"\r\na\n").close().messages()

    assert told(messages) == ["a", " end: None", 2]


def test_a_request_is_read_too():
    """Either half may be read while it arrives."""
    post = GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Type: text/x-toy\r\n")
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    messages = (Dialogue() >> post + b"Content-Length: 2\r\n\r\na\n" << ok).messages()

    assert told(messages) == ["a", " end: None", 0]
    assert [m.direction for m in messages[:-1]] == ["write", "write"]


def test_holes():
    """A hole is told in its place; one that hides the end of the body is the end."""
    talk = (Dialogue() >> GET << CHUNKED + b"6\r\na\n").gap(READ, 2) << b"b\n\r\n"
    within = talk.gap(READ, 9).messages()

    assert told(within) == ["a", "lost 2", "hole", "b", " end: bytes were lost", 6, "hole"]


def test_a_body_behind_a_transfer_coding_is_not_read():
    """What its pieces are is only known when the coding is undone, at the end."""
    response = TOY + b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"

    assert told((Dialogue() >> GET << response).messages()) == [1]


def test_what_reading_takes_is_counted():
    """The memory that a reader takes is part of what its connection holds, and is charged."""
    body = b"2\r\na\n\r\n"
    nobody_reads = CHUNKED.replace(b"X-Toy", b"plain")
    held, charged = memory(CHUNKED + body)

    assert (held - 1024, charged - 1024) == memory(nobody_reads + body)


def memory(response):
    """Bytes that the parser holds after a request and the beginning of this response, and those it has charged."""
    made, budget = connection(), Budget(1 << 20)
    parser = Http1(made, Limits(), budget, WRITE, GET)
    parser.feed(Chunk(made, WRITE, 0, START, GET))
    parser.feed(Chunk(made, READ, 0, START, response))
    return sum(parser.holds()[:2]), budget.limit - budget.left


# --- switches --------------------------------------------------------------------------------------


def heir():
    """A toy that takes every upgrade over and shows raw data, and the list of upgrades that it was offered."""
    offered: list[Upgrade] = []

    class Heir(Protocol):
        """Shows everything."""

        @classmethod
        def claims(cls, head, connection):
            """Never."""
            return Verdict.NO

        @classmethod
        def takes_over(cls, connection, limits, budget, upgrade):
            """Always."""
            offered.append(upgrade)
            return cls(connection, limits, budget, upgrade.client, b"")

        def __init__(self, connection, limits, budget, direction, head):
            pass

        def feed(self, chunk):
            """Show it."""
            return raw_all([chunk])

        def gap(self, gap):
            """Nothing is pending."""
            return []

        def close(self, time, ending):
            """Nothing is pending."""
            return []

        def holds(self):
            """Nothing."""
            return Held(0, 0)

        def shorten(self, most):
            """Has no bodies."""

    return Heir, offered


def handed_over(talk):
    """The upgrade that a dialogue ends in, and what comes after it."""
    successor, offered = heir()
    talk._parsers = (Http1, successor)
    (upgrade,) = {(u.name, u.client) for u in (talk.messages() and offered)}
    return upgrade, offered[0], [raw_bytes(m) for m in talk.once() if isinstance(m, RawData)]


def test_an_upgrade_is_handed_over():
    """After a 101 the successor gets the protocol's name, who asked, both halves, and every byte behind them."""
    ask = b"GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nX: y\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\r\n"
    name, upgrade, after = handed_over(Dialogue() >> ask << switch + b"\x81\x02hi" >> b"\x81")

    assert name == ("websocket", WRITE)
    assert ("/chat", ("X", "y")) == (upgrade.request.url, upgrade.request.headers[-1])
    assert ("upgrade", "WebSocket") == upgrade.response.headers[0]
    assert after == [b"\x81\x02hi", b"\x81"]


def test_a_tunnel_is_handed_over():
    """An accepted CONNECT is an upgrade to whatever is inside; here the watched program is the proxy."""
    ask = b"CONNECT b.example:443 HTTP/1.1\r\n\r\n"
    name, upgrade, after = handed_over(Dialogue() << ask >> b"HTTP/1.1 200 OK\r\n\r\n" << b"\x16\x03")

    assert name == ("connect", READ)
    assert (upgrade.request.url, upgrade.response.status) == ("b.example:443", 200)
    assert after == [b"\x16\x03"]


def test_an_upgrade_whose_request_was_not_seen():
    """The response alone tells what follows it."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"
    name, upgrade, after = handed_over(Dialogue(mid=True) << switch + b"x")

    assert (name, upgrade.request, after) == (("h2c", WRITE), None, [b"x"])


def test_an_upgrade_before_its_request_has_ended():
    """Where the rest of a body and the other protocol would meet nothing is handed over: it is raw data."""
    ask = b"POST / HTTP/1.1\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nab"
    successor, offered = heir()
    talk = Dialogue(parsers=(Http1, successor))
    talk = talk >> ask << b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" >> b"cdx"
    messages = talk.messages()

    assert (offered, raw_bytes(messages[-1])) == ([], b"cdx")
