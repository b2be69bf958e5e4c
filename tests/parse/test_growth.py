"""Hostile bytes in large pieces cost each parser time in proportion to their number."""

from __future__ import annotations

import gzip
import struct

import pytest
from dialogue import READ, START, WRITE, connection, run
from frames import Pair, frame
from growth import is_linear

from pellucid.model import Chunk
from pellucid.parse import Limits, Parse
from pellucid.parse.bodies.carried import Carried
from pellucid.parse.bodies.coding_streams import coding_stream
from pellucid.parse.bodies.codings import decode
from pellucid.parse.bodies.events import EventStream
from pellucid.parse.grpc.messages import GrpcBody
from pellucid.parse.http1.parser import Http1
from pellucid.parse.http2.parser import Http2
from pellucid.parse.websocket.inflate import Inflate
from pellucid.parse.websocket.parser import WebSocket

SIZE = 64 << 10
PARSERS = (Http1, Http2, WebSocket)
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
SWITCH = HEAD.replace(b"200 OK", b"101 S") + b"Upgrade: websocket\r\nConnection: upgrade\r\n"
EMPTY_MEMBER = gzip.compress(b"", mtime=0)


def repeated(unit, size):
    return unit * (size // len(unit))


def feed(asked, begun, unit):
    """Work that gives one piece of `unit` repeated, after what begins a connection."""

    def work(size):
        made = connection()
        pieces = [(WRITE, asked), (READ, begun), (READ, repeated(unit, size))]
        offsets = {READ: 0, WRITE: 0}
        stage = Parse(PARSERS, Limits())
        for direction, data in pieces:
            if data:
                run(stage, [Chunk(made, direction, offsets[direction], START, data)])
            offsets[direction] += len(data)

    return work


ANSWER = Pair.welcome + Pair().server.headers(1, (":status", "200"))
HELLO = Pair.hello + Pair().client.get(1)


@pytest.mark.parametrize(
    ("asked", "begun", "unit"),
    [
        (GET, b"", b"["),
        (GET, b"", b";"),
        (GET, b"", bytes(1)),
        (GET, b"", b"\r\n"),
        (GET, HEAD, b"A: b\r\n"),
        (GET, HEAD, b"A:\r\n"),
        (GET, HEAD + b"A: b\r\n", b" c\r\n"),
        (GET, HEAD + b"Content-Length: 9999999\r\n\r\n", bytes(1)),
        (GET, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (GET, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b";"),
        (GET, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
        (GET, b"", HEAD + b"Content-Length: 0\r\n\r\n"),
        (HELLO, ANSWER, frame(0, 0, 1)),
        (HELLO, ANSWER, frame(0, 0, 1, b"a")),
        (HELLO, ANSWER, frame(4, 0, 0)),
        (HELLO, ANSWER, frame(1, 0, 1)),
        (HELLO, ANSWER + frame(1, 0, 1), frame(9, 0, 1)),
        (HELLO, ANSWER + frame(1, 0, 1), frame(9, 0, 1, b"a")),
        (HELLO, ANSWER, frame(99, 0, 0)),
        (HELLO, ANSWER, frame(3, 0, 1, bytes(4))),
        (HELLO, ANSWER, bytes(1)),
        (GET, SWITCH + b"\r\n", b"\x81\x00"),
        (GET, SWITCH + b"\r\n", b"\x89\x00"),
        (GET, SWITCH + b"\r\n\x01\x01a", b"\x00\x00"),
        (GET, SWITCH + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", b"\xc1\x02\x03\x00"),
        (GET, SWITCH + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", b"\xc1\x00"),
    ],
)
def test_one_large_piece(asked, begun, unit):
    """256 KiB take no more than in proportion to 64 KiB."""
    assert is_linear(feed(asked, begun, unit), SIZE)


@pytest.mark.parametrize("unit", [b"\n", b"\r", b"data\n", b"data:\n\n", b"a", b":", bytes(1)])
def test_an_event_stream(unit):
    """The same for Server-Sent Events."""

    def work(size):
        EventStream(Carried(connection(), READ, None, "/", []), Limits()).feed(repeated(unit, size), START)

    assert is_linear(work, SIZE)


@pytest.mark.parametrize(
    "unit", [bytes(5), b"\0\0\0\0\1\0", b"\1\0\0\0\0", struct.pack(">BI2s", 0, 2, b"\x08\0")]
)
def test_a_call_of_grpc(unit):
    """The same for the messages of gRPC."""

    def work(size):
        fields = [("content-type", "application/grpc"), ("grpc-encoding", "gzip")]
        GrpcBody(Carried(connection(), READ, 1, "/a/b", fields), Limits()).feed(repeated(unit, size), START)

    assert is_linear(work, SIZE)


def test_empty_members_of_gzip():
    """A body of nothing but empty members costs as much as its length, whole or while it arrives."""
    assert is_linear(lambda size: decode(repeated(EMPTY_MEMBER, size), "gzip", 1 << 20), 4 * SIZE)
    assert is_linear(lambda size: list(coding_stream("gzip").decode(repeated(EMPTY_MEMBER, size))), SIZE)


def test_empty_blocks_of_deflate():
    """The same for blocks that each say they are the last one, in a WebSocket."""
    assert is_linear(lambda size: list(Inflate(keeps=True).add(repeated(b"\x03\x00", size))), SIZE)
