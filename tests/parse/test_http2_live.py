"""What is read while it arrives on streams of HTTP/2: events, WebSockets, calls of gRPC."""

from __future__ import annotations

import pytest
from dialogue import READ, Dialogue
from frames import (
    Pair,
    data,
)
from http2_talk import OK, begun, dialogue, only, shown
from msgspec import UNSET

from pellucid.model import Http
from pellucid.parse.http2.parser import Http2


def test_events_come_before_their_response_ends(pair):
    """Events of two streams are shown when they arrive, each with its stream and URL, at the end the exchanges."""
    server, kind = pair.server, ("content-type", "text/event-stream")
    opened = server.headers(1, OK, kind) + server.headers(3, OK, kind)
    events = data(1, b"data: a\n\nda") + data(3, b"data: b\n\n") + data(1, b"ta: c\n\n")
    talk = begun(pair) >> pair.client.get(1, "/1") + pair.client.get(3, "/3") << opened + events
    a, b, c, *ends = (talk << data(3, b"", end=True) + data(1, b"", end=True)).messages()
    assert [(1, "/1", "a"), (3, "/3", "b"), (1, "/1", "c")] == [(m.stream, m.url, m.data) for m in (a, b, c)]
    assert [(3, "/3", 200, "data: b\n\n"), (1, "/1", 200, "data: a\n\ndata: c\n\n")] == shown(ends)


def websocket_request(pair, stream, *fields):
    """An extended CONNECT (RFC 8441)."""
    return pair.client.headers(
        stream,
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "a.example"),
        *fields,
    )


def websocket(pair, *fields):
    """A stream that one has made a WebSocket."""
    return begun(pair) >> websocket_request(pair, 1, *fields) << pair.server.headers(1, OK, *fields)


def test_a_websocket_on_a_stream(pair):
    """Messages of both directions are shown when they come, with the stream and the URL of its request."""
    talk = websocket(pair) << data(1, b"\x81\x05Hel") + data(1, b"lo")
    talk = talk >> data(1, bytes.fromhex("818537fa213d7f9f4d5158")) << data(1, b"\x88\x02\x03\xe8", end=True)
    hello, answer, close, exchange = (talk >> data(1, b"", end=True)).messages()
    assert [("read", "text", "Hello"), ("write", "text", "Hello"), ("read", "close", "")] == [
        (m.direction, m.opcode, m.data) for m in (hello, answer, close)
    ]
    assert {(1, "/chat")} == {(m.stream, m.url) for m in (hello, answer, close)}
    assert ("/chat", "CONNECT", None) == (exchange.request.url, exchange.request.method, exchange.error)


def test_a_websocket_that_compresses(pair):
    """What both have agreed on in the header fields of the stream is undone (RFC 7692 section 7.2.3.1)."""
    talk = websocket(pair, ("sec-websocket-extensions", "permessage-deflate"))
    first, second, _ = (talk << data(1, bytes.fromhex("c107f248cdc9c90700c105f200110000"))).messages()
    assert ["Hello", "Hello"] == [first.data, second.data]


def test_a_websocket_whose_handshake_is_known_in_part(pair):
    """That an extension was agreed on may be in a field that is not known, so a compressed message is no error."""
    fields = (OK, ("sec-websocket-extensions", "permessage-deflate"))
    pair.server.block(*fields)
    ask = websocket_request(pair, 3)
    agree = pair.server.headers(3, *fields)
    hello = bytes.fromhex("c107f248cdc9c90700")
    talk = dialogue(mid=True) >> pair.client.get(1) + ask << agree + data(3, hello) + data(3, hello)
    first, second, _, exchange = talk.once()
    assert ["Hello", "Hello"] == [first.data, second.data]
    assert exchange.response.partial
    assert "no further" not in exchange.error


def test_a_websocket_behind_a_hole(pair):
    """On a stream nothing is read behind a hole between frames, and the exchange says so; its body goes on."""
    frames = data(1, b"\x81\x02hi" * 3)
    talk = (websocket(pair) << frames[:13]).gap(READ, 4) << frames[17:] + data(1, b"\x81\x00", end=True)
    message, lost, exchange = (talk >> data(1, b"", end=True)).once()
    assert "hi" == message.data
    assert "ring_full" == lost.reason
    assert 14 == exchange.response.size
    assert exchange.error.endswith("the response body was read no further: bytes were lost")


def test_a_websocket_that_is_none(pair):
    """What breaks its rules is told where its bytes are: in the exchange."""
    talk = websocket(pair) << data(1, b"\x83\x00") + data(1, b"\x81\x00", end=True)
    exchange = only((talk >> data(1, b"", end=True)).messages())
    assert exchange.error.startswith("the response body was read no further: ")


@pytest.mark.parametrize("status", ["9" * 5000, "1234", "²", "-1", ""])
def test_a_grpc_status_that_is_none(status):
    """A code that no call can end with is not shown as one, however long it is; the trailer is."""
    pair = Pair()
    call = ("content-type", "application/grpc")
    answer = pair.server.headers(1, (":status", "200"), call, ("grpc-status", status), end=True)
    talk = Dialogue(parsers=(Http2,)) >> pair.hello + pair.client.post(1, "/a/b", bytes(5), call)
    (exchange,) = [each for each in (talk << pair.welcome + answer).once() if isinstance(each, Http)]
    assert exchange.response.grpc_status is UNSET
    assert ("grpc-status", status) in exchange.response.headers
