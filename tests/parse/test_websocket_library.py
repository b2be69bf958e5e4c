"""WebSocket against an independent implementation: what it sends is read, and behind holes nothing is shown wrong."""

from __future__ import annotations

import dataclasses

from dialogue import READ, START, WRITE, Dialogue, connection, raw_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from websocket_talk import DEFLATE, deflater, raws, sockets, talk
from websockets.frames import Frame

from pellucid.model import Response
from pellucid.parse import Limits, Upgrade
from pellucid.parse.http1.parser import Http1
from pellucid.parse.websocket.parser import WebSocket as Parser
from pellucid.parse.websocket.side import websocket_sides

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Marked:
    """Lets the library write fragments of what it has compressed as a whole."""

    def __init__(self, *, rsv1):
        self._rsv1 = rsv1

    def encode(self, frame):
        """Set the bit of the first one."""
        return dataclasses.replace(frame, rsv1=self._rsv1)


payloads = st.binary(max_size=300) | st.text(max_size=100).map(str.encode) | st.just(b"again and again " * 40)
said = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY, PING, PONG]), payloads, st.integers(1, 400)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(said, st.booleans(), st.booleans(), st.sampled_from([9, 12, 15]), st.booleans(), st.integers(1, 999))
def test_whatever_a_real_library_sends_is_read(said, deflate, keeps, bits, mask, size):
    """Messages that `websockets` has fragmented, masked and compressed in any way are read as they were said."""
    name = "client" if mask else "server"
    value = "permessage-deflate" + ("" if keeps else f"; {name}_no_context_takeover")
    made = connection()
    response = Response(status=101, reason="", headers=[("Sec-WebSocket-Extensions", value)] * deflate)
    direction = WRITE if mask else READ
    side = websocket_sides(made, Upgrade("websocket", WRITE, None, response), Limits())[direction]
    extension = deflater(keeps=keeps, bits=bits)
    sent = bytearray()
    for opcode, payload, step in said:
        if opcode in {PING, PONG}:
            sent += Frame(opcode, payload[:125]).serialize(mask=mask)
            continue
        whole = Frame(opcode, payload)
        if deflate:
            whole = extension.encode(whole)
        pieces = [whole.data[at : at + step] for at in range(0, len(whole.data), step)] or [b""]
        for number, piece in enumerate(pieces):
            rsv1, last = whole.rsv1 and not number, number == len(pieces) - 1
            sent += Frame(CONTINUATION if number else opcode, piece, last).serialize(
                mask=mask, extensions=[Marked(rsv1=rsv1)]
            )
    got = [m for at in range(0, len(sent), size) for m in side.feed(bytes(sent[at : at + size]), START)]

    assert side.broken is None
    assert side.end(START, None) == []
    names = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}
    expected = [(names[op], payload[:125] if op in {PING, PONG} else payload) for op, payload, _ in said]
    assert [(m.opcode, m.data if isinstance(m.data, bytes) else m.data.encode()) for m in got] == expected
    assert all(m.size == len(payload) for m, (_, payload) in zip(got, expected, strict=True))


def written(said, extension, *, mask):
    """What the library sends to say this, in whole frames."""
    return b"".join(
        Frame(op, data).serialize(mask=mask, extensions=[extension] if extension else []) for op, data in said
    )


messages_of_one = st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), payloads), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(messages_of_one, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_behind_a_hole_nothing_is_shown_wrong(said, deflate, mask, mid, data):
    """Wherever bytes are missing, a message that is shown without an error is one that was sent, in its order."""
    sent = written(said, deflater() if deflate else None, mask=mask)
    begin = data.draw(st.integers(0, len(sent) - 1))
    size = data.draw(st.integers(1, len(sent) - begin))
    piece = data.draw(st.integers(1, 200))
    way = WRITE if mask else READ
    talking = Dialogue(parsers=(Http1, Parser), mid=True) if mid else talk(DEFLATE if deflate else b"")
    if not mid:
        talking._steps.append((way, sent[:begin]))
    talking = talking.gap(way, size)
    talking._steps.append((way, sent[begin + size :]))
    got = [(m.opcode, raw_bytes(m)) for m in sockets(talking.once((piece,))) if m.error is None]
    rest = iter([("text" if op == TEXT else "binary", payload) for op, payload in said])

    assert all(each in rest for each in got)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans(), st.booleans())
def test_whatever_comes_raises_nothing_and_loses_nothing(chunks, mid, deflate):
    """Of any bytes after a handshake, or in the middle of a connection, each is in a message or raw data."""
    fields = DEFLATE if deflate else b""
    random_talk = Dialogue(parsers=(Http1, Parser), mid=True) if mid else talk(fields)
    for number, chunk in enumerate(chunks):
        random_talk = random_talk << chunk if number % 2 else random_talk >> chunk
    messages = random_talk.once()

    if not sockets(messages):
        assert b"".join(chunks[1::2]) == b"".join(d for way, _, d in raws(messages) if way == "read")
        assert b"".join(chunks[::2]) == b"".join(d for way, _, d in raws(messages) if way == "write")
