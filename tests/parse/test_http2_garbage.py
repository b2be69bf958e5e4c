"""Whatever comes in whatever pieces, HTTP/2 breaks nothing, keeps to its bounds, and is never wrong."""

from __future__ import annotations

from dialogue import READ, START, STEP, WRITE, Dialogue, connection, run
from frames import Pair, asked, data, frame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.model import Chunk, Close, Gap, Http, Open, RawData, Totals
from pellucid.parse import Limits, Parse
from pellucid.parse.http1.parser import Http1
from pellucid.parse.http2.parser import Http2

TIGHT = Limits(max_body=50, max_head=300, max_streams=3, max_sniff=400)
DIRECTIONS = st.sampled_from([READ, WRITE])
FRAMES = st.builds(
    frame,
    st.integers(0, 12),
    st.sampled_from([0, 1, 4, 5, 8, 12, 13, 0x25, 255]),
    st.integers(0, 5),
    st.sampled_from([b"", b"\x82\x84\x87", b"\x88", b"\x40\x01a\x01b", b"\xbe", bytes(4), bytes(8)])
    | st.binary(max_size=60),
)
STEPS = st.lists(
    st.tuples(DIRECTIONS, FRAMES | FRAMES | st.binary(max_size=80) | st.integers(1, 30)), max_size=30
)
PIECES = st.lists(st.integers(1, 50), min_size=1, max_size=5)


def flows(steps, sizes, *, mid, alpn):
    made = connection(mid=mid)
    made.session = made.session._replace(alpn=alpn)
    time, offsets = START, {READ: 0, WRITE: 0}
    yield Open(made, time)
    for number, (direction, step) in enumerate(steps):
        time += STEP
        if isinstance(step, int):
            yield Gap(made, direction, offsets[direction], time, step, "ring_full")
            offsets[direction] += step
            continue
        size = sizes[number % len(sizes)]
        for at in range(0, len(step), size):
            yield Chunk(made, direction, offsets[direction], time, step[at : at + size])
            offsets[direction] += len(step[at : at + size])
    yield Close(made, time)
    yield Totals(time, 1.0, 1, 0, {})


@settings(deadline=None, max_examples=200)
@given(STEPS, PIECES, st.booleans(), st.sampled_from([None, "h2"]), st.booleans())
def test_nothing_is_raised(steps, sizes, mid, alpn, hello):
    """Any frames and bytes with any holes give messages, exchanges within the limits, raw data in its order."""
    begin = [(WRITE, Pair.hello), (READ, Pair.welcome)] if hello else []
    stage = Parse([Http1, Http2], TIGHT)
    offsets = {"read": 0, "write": 0}
    for message in run(stage, flows([*begin, *steps], sizes, mid=mid, alpn=alpn)):
        if isinstance(message, RawData):
            assert message.offset >= offsets[message.direction]
            offsets[message.direction] = message.offset + message.size
        if isinstance(message, Http):
            for half in (message.request, message.response):
                assert half is None or sum(len(a) + len(b) for a, b in half.headers) <= TIGHT.max_head
    assert stage.held == 0


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2000), PIECES)
@example(546, [1])  # headers read at the wrong place again and again, for the traffic repeats itself
def test_a_late_start_anywhere(start, sizes):
    """From any byte on, in any pieces, only requests and fields that were sent are shown."""
    pair = Pair()
    sent = Pair.hello
    for stream in range(1, 30, 2):
        fields = [("cookie", f"c{stream % 3}"), ("x-id", str(stream)), (f"y{stream % 5}", "z" * 20)]
        sent += pair.client.headers(stream, *asked("POST", f"/{stream}"), *fields)
        sent += data(stream, b"body of %d " % stream * 9, end=True)
    messages = run(Parse([Http2], Limits()), flows([(WRITE, sent[start:])], sizes, mid=True, alpn="h2"))
    for message in messages:
        if isinstance(message, Http):
            asked_for = dict(message.request.headers)
            assert message.request.url in {f"/{message.stream}", ""}
            assert asked_for.get("x-id", str(message.stream)) == str(message.stream)
            assert asked_for.get("cookie", f"c{message.stream % 3}") == f"c{message.stream % 3}"
            assert (message.request.partial is True) or len(message.request.headers) == 3
            assert b"body of %d " % message.stream * 9 == message.request.body.encode()
    if start < 1500:
        assert any(isinstance(message, Http) for message in messages)


def test_memory_that_runs_short():
    """What is pending is shown when memory runs short, and the connection is understood from there on."""
    pair = Pair()
    talk = Dialogue(parsers=(Http2,), limits=Limits(max_held=60_000)) >> pair.hello << pair.welcome
    for stream in range(1, 200, 2):
        talk = talk >> pair.client.get(stream, f"/{stream}", ("x", "y" * 100))
    messages = [m for m in (talk << pair.server.answer(199, b"ok")).once() if isinstance(m, Http)]
    assert sorted(m.stream for m in messages) == list(range(1, 200, 2))
    assert all(m.request.url == f"/{m.stream}" for m in messages)
    assert "no response before memory ran short (--memory)" == messages[0].error
    assert ["ok"] == [m.response.body for m in messages if m.response]
