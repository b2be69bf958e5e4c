"""Server-Sent Events as dialogues: what a browser would be told, when it would be."""

from __future__ import annotations

import gzip
import random
import zlib

import brotli
import pytest
import zstandard
from dialogue import READ, START, STEP, WHO, Dialogue, connection
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from pellucid.model import Http, Lost, ServerSentEvent
from pellucid.parse import Limits
from pellucid.parse.bodies.carried import Carried
from pellucid.parse.bodies.coding_streams import CodingError, coding_stream
from pellucid.parse.bodies.events import EventStream
from pellucid.parse.times import rfc3339

GET = b"GET /feed HTTP/1.1\r\nHost: a.example\r\n\r\n"


def head(*fields):
    lines = [b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream; charset=utf-8", *fields, b"", b""]
    return b"\r\n".join(lines)


CHUNKED = head(b"Transfer-Encoding: chunked")


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def shown(stream, **options):
    """The events of a stream that ends with its connection."""
    *events, http = (Dialogue(**options) >> GET << head() + stream).close().messages()
    assert isinstance(http, Http)
    return events


def test_one_event_fills_every_field():
    """An event says which exchange it belongs to, what it is, and when it was complete."""
    stream = b"event: price\nid: 7\nretry: 3000\ndata: one\ndata: two\n\n"
    event, http = (Dialogue() >> GET << CHUNKED << chunk(stream) << b"0\r\n\r\n").messages()

    assert event == ServerSentEvent(
        ts="2023-11-14T22:13:20.003000Z",
        **WHO,
        url="/feed",
        direction="read",
        event="price",
        id="7",
        retry=3000,
        data="one\ntwo",
        size=7,
    )
    assert http.response.body == stream.decode()


def test_events_come_while_the_response_goes_on():
    """Each is shown at the time when the empty line behind it has come, its exchange at the end."""
    talk = Dialogue() >> GET << CHUNKED + chunk(b"data: 1\n\ndata") << chunk(b": 2\n") << chunk(b"\n")
    messages = [m for m in talk.whole() if isinstance(m, ServerSentEvent | Http)]

    assert [(m.data, m.ts) for m in messages[:-1]] == [
        ("1", rfc3339(START + 2 * STEP)),
        ("2", rfc3339(START + 4 * STEP)),
    ]
    assert messages[-1].error == "the response body was incomplete when the capture ended"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
         [("first event", "1"), ("second event", "")]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("YHOO\n+2\n10", UNSET)]),
        (b"data\n\ndata\ndata\n\ndata:", [("", UNSET), ("\n", UNSET)]),
        (b"data:test\n\ndata: test\n\n", [("test", UNSET), ("test", UNSET)]),
        (b"data:  two spaces\r\n\r\n", [(" two spaces", UNSET)]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("a", UNSET)]),
        (b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r", [("a\nb\nc", UNSET), ("d", UNSET)]),
        (b"id: 1\n\ndata: x\n\nid: a\0b\ndata: y\n\n", [("x", "1"), ("y", "1")]),
        (b"event: only\n\nunknown: field\ndata: x\n\n", [("x", UNSET)]),
        (b"data: \xff\xc3\xa4\n\n", [("\ufffdä", UNSET)]),
    ],
    ids=["comments", "lines", "empty", "space", "spaces", "marks", "ends", "ids", "no data", "not UTF-8"],
)  # fmt: skip
def test_what_a_browser_would_be_told(stream, expected):
    """Streams of the Living Standard's section 9.2.6, and of its rules, become the events that it demands."""
    assert [(event.data, event.id) for event in shown(stream)] == expected


@pytest.mark.parametrize(
    ("line", "retry"), [(b"retry: 10", 10), (b"retry: 1a", UNSET), (b"retry: " + b"9" * 30, UNSET)]
)
def test_retry(line, retry):
    """Only a time that can be one is taken."""
    (event,) = shown(line + b"\ndata: x\n\n")

    assert event.retry == retry


def test_an_event_is_named_once():
    """The name holds for its own event, the id for all later ones."""
    first, second = shown(b"event: a\nid: 1\ndata: x\n\ndata: y\n\n")

    assert [(e.event, e.id) for e in (first, second)] == [("a", "1"), ("message", "1")]


def test_an_event_beyond_the_limit():
    """Its beginning is shown and all of it counted, and the next one is whole."""
    long = "data: 0123456789\ndata: ä456789\ndata: " + "x" * 90 + "\n\ndata: next\n\n"
    first, second = shown(long.encode(), limits=Limits(max_body=12))

    assert (first.data, first.size, first.truncated) == ("0123456789\n", 10 + 1 + 8 + 1 + 90, True)
    assert (second.data, second.size, second.truncated) == ("next", 4, False)


def test_short_memory_cuts_an_event():
    """What is cut is said and all of it counted, the line that arrives is still known for what it is."""
    stream = EventStream(Carried(connection(), READ, None, "/", []), Limits())
    stream.feed(b"id: 7\ndata: %b\ndata: %b" % (b"a" * 5000, b"b" * 5000), START)
    before = stream.cost
    stream.shorten(100)
    (event,) = stream.feed(b"bb\n\n", START)

    assert before - stream.cost > 9000
    assert (event.id, event.data, event.size, event.truncated) == ("7", "a" * 100, 10003, True)


def compress_brotli(pieces):
    made = brotli.Compressor()
    return [made.process(piece) + made.flush() for piece in pieces]


def compress_zstd(pieces):
    made = zstandard.ZstdCompressor().compressobj()
    return [made.compress(piece) + made.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for piece in pieces]


def compress_zlib(wbits):
    def compress(pieces):
        made = zlib.compressobj(wbits=wbits)
        return [made.compress(piece) + made.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]

    return compress


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", compress_zlib(31)),
        ("gzip", lambda pieces: [gzip.compress(piece) for piece in pieces]),
        ("deflate", compress_zlib(15)),
        ("deflate", compress_zlib(-15)),
        ("br", compress_brotli),
        ("zstd", compress_zstd),
        ("Identity", list),
    ],
    ids=["gzip", "members", "zlib", "bare deflate", "brotli", "zstd", "identity"],
)
def test_codings_are_undone_as_the_bytes_arrive(coding, compress):
    """What the server has flushed is shown at once, whichever coding it is in."""
    pieces = [b"data: one\n\ndata: t", b"wo\n\n", b"data: %b\n\n" % (b"x" * 300_000)]
    first, second, third = compress(pieces)
    fields = head(b"Transfer-Encoding: chunked", b"Content-Encoding: " + coding.encode())
    talk = Dialogue() >> GET << fields + chunk(first) << chunk(second) << chunk(third)
    events = [m for m in talk.once() if isinstance(m, ServerSentEvent)]

    assert [e.data for e in events] == ["one", "two", "x" * 300_000]
    assert [e.ts for e in events] == [rfc3339(START + step * STEP) for step in (2, 3, 4)]
    assert events == [m for m in talk.once((1000,)) if isinstance(m, ServerSentEvent)]


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"x-unknown", b"gzip, br"])
def test_codings_that_cannot_be_undone(coding):
    """No event is made up: the body alone is shown, as it was sent."""
    body = random.Random(3).randbytes(200)
    fields = head(b"Content-Encoding: " + coding, b"Content-Length: %d" % len(body))
    (http,) = (Dialogue() >> GET << fields + body).messages()

    assert http.response.body == body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_becomes_too_much_is_not_kept(coding):
    """15 MiB in few bytes are counted, and take no more memory than their window and the limit."""
    compress = {
        "gzip": compress_zlib(31),
        "deflate": compress_zlib(15),
        "br": compress_brotli,
        "zstd": compress_zstd,
    }
    pieces = compress[coding]([b"data: " + b"a" * (15 << 20), b"\n\ndata: next\n\n"])
    carried = Carried(connection(), READ, None, "/", [("content-encoding", coding)])
    stream = EventStream(carried, Limits(max_body=1000))
    events = [event for piece in pieces for event in stream.feed(piece, START)]

    assert [(e.data, e.size, e.truncated) for e in events] == [
        ("a" * 1000, 15 << 20, True),
        ("next", 4, False),
    ]
    assert stream.cost < 17 << 20


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", compress_zlib(31)), ("br", compress_brotli), ("zstd", compress_zstd)],
)
def test_a_bomb(coding, compress):
    """Of what becomes far more than anybody compresses a bounded part is made, whatever pieces it comes in; what was
    there of an event is shown, and nothing after it.
    """
    body = b"".join(compress([b"data: one\n\ndata: two\ndata: " + b"a" * (18 << 20) + b"\n\ndata: no\n\n"]))
    for size in (len(body), 1000):
        made = []
        stream = coding_stream(coding)
        pieces = (piece for at in range(0, len(body), size) for piece in stream.decode(body[at : at + size]))
        with pytest.raises(CodingError, match="too much"):
            made.extend(map(len, pieces))
        assert sum(made) <= (16 << 20) + 64 * len(body)

    stream = EventStream(Carried(connection(), READ, None, "/", [("content-encoding", coding)]), Limits())
    events = [*stream.feed(body, START), *stream.feed(b"data: no\n\n", START)]
    assert [(event.data, event.truncated) for event in events] == [("one", False), ("two", True)]


# --- holes -------------------------------------------------------------------------------------------


def test_a_hole():
    """An event that a hole has torn shows what came before; behind it the next empty line is a new beginning."""
    talk = (Dialogue() >> GET << head() + b"data: a\n\ndata: b\ndata: c").gap(READ, 9)
    messages = (talk << b"\ndata: torn\n\ndata: whole\n\n").close().messages()
    first, torn, lost, whole, _ = messages

    assert isinstance(lost, Lost)
    assert [(e.data, e.truncated) for e in (first, torn, whole)] == [
        ("a", False),
        ("b", True),
        ("whole", False),
    ]


def test_a_hole_in_a_coded_stream():
    """Nothing behind it can be read."""
    first, second = compress_zlib(31)([b"data: one\n\n", b"data: two\n\n"])
    talk = (Dialogue() >> GET << head(b"Content-Encoding: gzip") + first + second[:3]).gap(READ, 2) << second[
        5:
    ]
    messages = talk.close().messages()

    assert [type(m) for m in messages] == [ServerSentEvent, Lost, Http]
    assert messages[0].data == "one"


# --- anything ----------------------------------------------------------------------------------------

lines = st.sampled_from(
    [b"data", b"data: x", b"data:", b"id: 1", b"event: e", b": c", b"", b"\xef\xbb\xbf", b"retry: 5"]
)
ends = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(lines, ends), max_size=20), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_stream_in_any_pieces(parts, sizes):
    """The events of a stream do not depend on how it is cut."""
    data = b"".join(line + end for line, end in parts)

    def events(pieces):
        stream = EventStream(Carried(connection(), READ, None, "/", []), Limits())
        return [event for piece in pieces for event in stream.feed(piece, START)]

    pieces, at, turn = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(pieces[-1])
        turn += 1
    assert events([data]) == events(pieces)


@given(
    st.lists(st.binary(max_size=40), max_size=9),
    st.sampled_from(["identity", "gzip", "deflate", "br", "zstd"]),
)
def test_garbage_raises_nothing(pieces, coding):
    """Whatever a body holds, and wherever it has holes, reading it goes on or stops in silence."""
    stream = EventStream(Carried(connection(), READ, None, "/", [("Content-Encoding", coding)]), Limits())
    for number, piece in enumerate(pieces):
        stream.feed(piece, START)
        if number % 3 == 2:
            stream.lose(number, START)
    assert stream.end(START, None) == []
    assert stream.cost < 1 << 20
