"""gRPC bodies: messages as they arrive, of whatever pieces, compression and framing undone."""

from __future__ import annotations

import base64
import gzip
import random
import tracemalloc
import zlib
from pathlib import Path

import frames
import pytest
import zstandard
from dialogue import START, STEP, Dialogue, connection
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from pellucid.model import Chunk, Direction, Grpc, Http, Totals
from pellucid.parse import Ending, Limits, Parse
from pellucid.parse.bodies.carried import Carried
from pellucid.parse.http1.parser import Http1
from pellucid.parse.http2.parser import Http2
from pellucid.parse.readers import live_body
from pellucid.parse.times import rfc3339
from pellucid.protos import read_schema

PROTOS = Path(__file__).parent.parent / "protos" / "shop"
BUY = "/shop.Shop/Buy"
HELLO = b"\x0a\x05hello"
ORDER = b"\x08\x2a\x12\x07\x0a\x03tea\x10\x02"


def frame(message, flags=0):
    return bytes([flags]) + len(message).to_bytes(4) + message


def body(
    media="application/grpc", *, coding=None, limits=None, role="client", direction=Direction.WRITE, url=BUY
):
    """What reads the body of a call that this end makes, or answers."""
    made = connection()
    made.role = role
    headers = [("content-type", media), *([("grpc-encoding", coding)] if coding else [])]
    live = live_body(Carried(made, direction, 1, url, headers), limits or Limits())
    assert live is not None
    return live


def read(live, data, ending=None, size=1 << 30):
    """The messages of a body that comes in pieces of this size."""
    messages = []
    for at in range(0, len(data), size):
        messages += live.feed(data[at : at + size], START)
    return [*messages, *live.end(START + STEP, ending)]


def same_in_pieces(make, data, ending=None):
    """The messages, which are the same whole, byte by byte and in threes."""
    messages, *others = (read(make(), data, ending, size) for size in (1 << 30, 1, 3))
    assert others == [messages, messages]
    return messages


def test_messages_of_one_body():
    """Each message is shown with its place, the call that it belongs to, and its fields by number."""
    first, second, third = same_in_pieces(body, frame(HELLO) + frame(b"") + frame(ORDER))
    assert [each.number for each in (first, second, third)] == [0, 1, 2]
    assert [each.message for each in (first, second, third)] == [
        {"1": "hello"},
        {},
        {"1": 42, "2": {"1": "tea", "2": 2}},
    ]
    assert (first.stream, first.url, first.direction, first.role, first.ts) == (
        1,
        BUY,
        "write",
        "client",
        rfc3339(START),
    )
    assert (first.data, first.size, first.truncated, first.error) == (HELLO.decode(), 7, False, None)
    assert first.schema is first.compression is first.trailers is UNSET


def test_a_message_is_shown_when_it_is_complete():
    """The last byte of a message brings it, not the next message or the end of the call; `ts` is its first byte."""
    live = body()
    data = frame(HELLO)
    assert live.feed(data[:2], START) == []
    assert live.feed(data[2:-1], START + STEP) == []
    (message,) = live.feed(data[-1:], START + 2 * STEP)
    assert message.ts == rfc3339(START)
    assert live.end(START, None) == []


CODED = {"gzip": gzip.compress(HELLO), "deflate": zlib.compress(HELLO), "zstd": zstandard.compress(HELLO)}


@pytest.mark.parametrize("coding", CODED)
def test_compression(coding):
    """A message with the flag is decompressed as grpc-encoding says, one without it is taken as it is."""
    coded, plain = same_in_pieces(lambda: body(coding=coding), frame(CODED[coding], 1) + frame(HELLO))
    assert coded.message == plain.message == {"1": "hello"}
    assert (coded.compression, plain.compression) == (coding, UNSET)
    assert (coded.size, plain.size) == (len(CODED[coding]), len(HELLO))
    assert coded.data == plain.data


@pytest.mark.parametrize(
    ("coding", "error"),
    [
        (None, "compressed, and no grpc-encoding says how"),
        ("gzip", "the compression (gzip) cannot be undone"),
        ("snappy", "the compression (snappy) cannot be undone"),
    ],
)
def test_compression_that_cannot_be_undone(coding, error):
    """The bytes are shown as they were sent, no fields are made up of them, and the next message is read."""
    first, second = same_in_pieces(lambda: body(coding=coding), frame(HELLO, 1) + frame(HELLO))
    assert (first.message, first.data, first.error) == (None, HELLO.decode(), error)
    assert second.message == {"1": "hello"}


def test_bytes_that_are_no_protobuf():
    """They are shown, with the reason why there is no `message`; other codecs have none, and no error."""
    (message,) = same_in_pieces(body, frame(b"\xff\xff"))
    assert (message.message, message.data, message.encoding) == (None, b"\xff\xff", "base64")
    assert message.error == "cannot be read as protobuf, or holds too many values to show"
    (message,) = same_in_pieces(lambda: body("application/grpc+json"), frame(b'{"a":1}'))
    assert (message.message, message.data, message.error) == (None, '{"a":1}', None)


# --- by name -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limits():
    return Limits(schema=read_schema([PROTOS / "shop.proto"]))


@pytest.mark.parametrize(
    ("role", "direction"), [("client", Direction.WRITE), ("server", Direction.READ)]
)  # fmt: skip
def test_requests_by_name(limits, role, direction):
    """What a client writes and a server reads is of the method's request type."""
    (message,) = same_in_pieces(
        lambda: body(limits=limits, role=role, direction=direction), frame(ORDER)
    )  # fmt: skip
    assert message.message == {"order_number": "42", "items": [{"name": "tea", "size": "LARGE"}]}
    assert (message.schema, message.error) == ("shop.Order", None)


@pytest.mark.parametrize(
    ("role", "direction"), [("client", Direction.READ), ("server", Direction.WRITE)]
)  # fmt: skip
def test_responses_by_name(limits, role, direction):
    """What a client reads and a server writes is of its response type."""
    (message,) = read(body(limits=limits, role=role, direction=direction), frame(HELLO))
    assert (message.message, message.schema) == ({"text": "hello"}, "shop.Receipt")


@pytest.mark.parametrize("url", ["/shop.Shop/Unknown", "/other.Shop/Buy", "*", "", None])
def test_methods_that_the_schema_lacks(limits, url):
    """They are shown by number."""
    (message,) = read(body(limits=limits, url=url), frame(HELLO))
    assert (message.message, message.schema) == ({"1": "hello"}, UNSET)


def test_a_prefix_and_a_query(limits):
    """What a proxy has set before a method, or behind it, does not hide it."""
    (message,) = read(body(limits=limits, url=f"/api/v1{BUY}?a=/b"), frame(ORDER))
    assert message.schema == "shop.Order"


def test_messages_that_do_not_fit_their_schema(limits):
    """A message of another type is shown by number, fields that the schema lacks are told of."""
    (message,) = read(body(limits=limits), frame(b"\x12\x02\xff\xff"))
    assert (message.message, message.schema) == ({"2": {"base64": "//8="}}, UNSET)
    assert message.error == "does not fit shop.Order"
    (message,) = read(body(limits=limits), frame(b"\x08\x01\x12\x02\x48\x01"))
    assert message.message == {"order_number": "1", "items": [{}]}
    assert message.error == "has fields that the schema of shop.Order lacks"


# --- bounds and holes ------------------------------------------------------------------------------------


def test_a_message_longer_than_max_body(limits):
    """Its beginning is shown, by number; its whole size is told, and the next message is found."""
    short = Limits(max_body=10, max_decoded=10, schema=limits.schema)
    long = b"\x08\x2a" + b"\x12\x63" + b"x" * 99
    first, second = same_in_pieces(lambda: body(limits=short), frame(long) + frame(b"\x08\x2a"))
    assert (first.message, first.data, first.size, first.truncated) == (
        {"1": 42},
        "\x08*\x12cxxxxxx",
        103,
        True,
    )
    assert (second.message, second.truncated) == ({"order_number": "42"}, False)


def test_a_message_that_grows_when_decompressed():
    """What comes of 64 MiB of zeros is bounded, and the memory that it takes as well."""
    deflater = zlib.compressobj()
    bomb = b"".join(deflater.compress(bytes(1 << 24)) for _ in range(4)) + deflater.flush()
    limits = Limits(max_body=1 << 20, max_decoded=1 << 20)
    live = body(coding="deflate", limits=limits)
    tracemalloc.start()
    (message,) = read(live, frame(bomb, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(message.data), message.truncated, message.size) == (1 << 20, True, len(bomb))
    assert peak < 16 << 20


def test_a_huge_length_takes_no_memory():
    """Of 4 GiB that are announced only what comes is held."""
    live = body()
    tracemalloc.start()
    live.feed(b"\0\xff\xff\xff\xff" + bytes(1000), START)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
    assert live.cost < 4000
    (message,) = live.end(START, Ending.CLOSED)
    assert (message.size, message.truncated) == ((1 << 32) - 1, True)


def test_a_hole_in_a_message():
    """The message is shown up to it, and the next one is found."""
    live = body()
    data = frame(HELLO + b"\x10\x01" + b"x" * 20)
    assert live.feed(data[:14], START) == []
    assert live.lose(5, START) == []
    first, second = live.feed(data[19:] + frame(HELLO), START)
    assert (first.message, first.size, first.truncated) == ({"1": "hello", "2": 1}, 29, True)
    assert first.error == "5 of its bytes are missing"
    assert (second.message, second.error, second.number) == ({"1": "hello"}, None, 1)


def test_a_hole_that_ends_a_message():
    """One that reaches exactly to the end of a message completes it."""
    live = body()
    live.feed(frame(HELLO)[:-2], START)
    (message,) = live.lose(2, START)
    assert (message.data, message.error) == (HELLO[:-2].decode(), "2 of its bytes are missing")
    assert [each.message for each in live.feed(frame(HELLO), START)] == [{"1": "hello"}]


@pytest.mark.parametrize("before", [b"", frame(HELLO), frame(HELLO)[:3], frame(HELLO)[:-1]])
def test_a_hole_that_hides_a_beginning(before):
    """It is said once that messages can no longer be told apart, and nothing is made up of the rest."""
    live = body()
    live.feed(before, START)
    (message,) = live.lose(2, START)
    assert message.message is None
    assert "2 bytes are missing; where the next message begins is not known" in message.error
    assert [*live.feed(frame(HELLO), START), *live.lose(9, START), *live.end(START, None)] == []


@pytest.mark.parametrize("data", [b"\x02\0\0\0\0", b"HTTP/1.1", frame(HELLO, 0x80)])
def test_what_is_no_message(data):
    """Flags that gRPC does not have end the splitting, in words."""
    (message,) = same_in_pieces(body, data + frame(HELLO))
    assert message.error.startswith(f"{data[0]:#04x} is no flag of a message; where the next")


@pytest.mark.parametrize("ending", [None, Ending.CLOSED])
def test_a_message_that_does_not_end(ending):
    """It is shown as far as it came, with the reason."""
    (message,) = same_in_pieces(body, frame(HELLO)[:-1], ending)
    assert (message.data, message.size, message.truncated) == ("\n\x05hell", 7, True)
    assert message.error == f"not complete before {ending or 'the body ended'}"
    (message,) = same_in_pieces(body, b"\0\0\0", ending)
    assert message.error == f"not complete before {ending or 'the body ended'}"


# --- gRPC-Web ----------------------------------------------------------------------------------------------

TRAILERS = frame(b"grpc-status: 5\r\ngrpc-message:no%20tea\r\n", 0x80)


def test_web():
    """The last frame holds the trailers."""
    message, last = same_in_pieces(lambda: body("application/grpc-web+proto"), frame(HELLO) + TRAILERS)
    assert (message.message, message.trailers) == ({"1": "hello"}, UNSET)
    assert last.trailers == [("grpc-status", "5"), ("grpc-message", "no%20tea")]
    assert (last.message, last.data, last.error) == (None, "", None)


def test_web_text():
    """Base64 may be padded in the middle, where the server has flushed."""
    text = b"".join(
        base64.b64encode(each) for each in (frame(HELLO), frame(ORDER)[:6], frame(ORDER)[6:] + TRAILERS)
    )
    first, second, last = same_in_pieces(lambda: body("application/grpc-web-text"), text)
    assert [first.message, second.message] == [{"1": "hello"}, {"1": 42, "2": {"1": "tea", "2": 2}}]
    assert last.trailers[0] == ("grpc-status", "5")


def test_web_text_that_is_none():
    """What is not base64, and a hole in it, end the splitting in words."""
    (message,) = read(body("application/grpc-web-text"), b"!!!!AAAA")
    assert message.error.startswith("the body is not base64; where")
    live = body("application/grpc-web-text")
    live.feed(base64.b64encode(frame(HELLO))[:7], START)
    (message,) = live.lose(4, START)
    assert message.error.startswith("4 characters are missing; where")
    assert live.feed(b"AAAA", START) == []


# --- connections that are older than the capture -------------------------------------------------------


def older(*fields, trailers=(("grpc-status", "5"), ("grpc-message", "no%20tea"))):
    """A call whose content type was in the table before, and these fields were not; and its answer."""
    client, server = frames.Peer(), frames.Peer()
    known = ("content-type", "application/grpc")
    asked = [*frames.asked("POST", BUY), known]
    client.headers(1, *asked)
    server.headers(1, (":status", "200"), known)
    request = client.headers(3, *asked, *fields) + frames.data(3, frame(HELLO), end=True)
    last = server.headers(3, *trailers, end=True)
    response = server.headers(3, (":status", "200"), known) + frames.data(3, frame(ORDER)) + last
    return Dialogue(mid=True, parsers=(Http2,)) >> request << response


def check_older(messages):
    asked, answered, call = messages
    assert (asked.message, asked.direction, asked.url) == ({"1": "hello"}, "write", None)
    assert (answered.message, answered.direction) == ({"1": 42, "2": {"1": "tea", "2": 2}}, "read")
    assert (call.protocol, call.response.grpc_status, call.response.grpc_message) == ("gRPC", 5, "no tea")
    assert call.request.partial
    assert call.response.partial


def test_a_call_without_its_content_type():
    """A field that only gRPC has tells that both bodies are gRPC's: they are read as they arrive."""
    check_older(older(("grpc-timeout", "1S")).messages())


def test_a_call_that_only_its_trailers_tell_of():
    """Its messages are shown when it ends."""
    check_older(older(("x-timeout", "1S")).messages())


def test_a_call_that_nothing_tells_of():
    """It stays what it is known to be: HTTP/2, of which something is not known."""
    (call,) = older(("x-timeout", "1S"), trailers=[("x-status", "5")]).messages()
    assert (call.protocol, call.request.partial) == ("HTTP/2", True)


# --- any bytes ---------------------------------------------------------------------------------------------

MEDIA = ["application/grpc", "application/grpc-web", "application/grpc-web-text"]
STEPS = st.lists(st.one_of(st.binary(max_size=30), st.integers(1, 20), st.just(frame(HELLO))), max_size=8)


@given(st.sampled_from(MEDIA), STEPS, st.sampled_from([None, Ending.CLOSED]))
def test_garbage(media, steps, ending):
    """Whatever comes or is lost, nothing is raised, and messages are numbered without a gap."""
    live = body(media, coding="gzip")
    messages = []
    for step in steps:
        messages += live.lose(step, START) if isinstance(step, int) else live.feed(step, START)
    messages += live.end(START, ending)
    assert [each.number for each in messages] == [*range(len(messages))]


def test_many_messages():
    """Thousands of messages in one piece are each shown, in order."""
    sizes = [random.Random(7).randrange(40) for _ in range(5003)]
    messages = read(body(), b"".join(frame(bytes([0x0A, size]) + b"x" * size) for size in sizes))
    assert [len(each.message["1"]) for each in messages] == sizes


UPLOAD = frame(bytes(200_000))[:100_000]
"""The beginning of a message that does not end."""


def over_http1():
    """Uploads on a connection each."""
    head = b"POST /web HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\nContent-Length: 999999\r\n\r\n"
    for number in range(60):
        yield Chunk(connection(number), Direction.WRITE, 0, START, head + UPLOAD)


def over_http2():
    """Uploads on one connection: a table of header fields, which must not be lost, is for all of them."""
    peer, made, offset = frames.Peer(), connection(), 0
    for stream in range(1, 121, 2):
        head = peer.headers(stream, *frames.asked("POST", BUY), ("content-type", "application/grpc"))
        pieces = (frames.data(stream, UPLOAD[at : at + 16_384]) for at in range(0, len(UPLOAD), 16_384))
        sent = b"".join((frames.PREFACE + frames.settings() if stream == 1 else b"", head, *pieces))
        yield Chunk(made, Direction.WRITE, offset, START, sent)
        offset += len(sent)
    rest = b"".join(frames.data(119, bytes(20_001), end=piece == 4) for piece in range(5))
    yield Chunk(made, Direction.WRITE, offset, START, rest)


@pytest.mark.parametrize("uploads", [over_http1, over_http2])
def test_memory_runs_short(uploads):
    """Messages that do not end take no more memory than there is; all are shown at the end; what is cut says why."""
    limit = 3 << 20
    stage = Parse([Http1, Http2], Limits(max_held=limit))
    messages = []
    for chunk in uploads():
        messages += stage.parse(chunk)
        assert stage.held <= limit
    messages += stage.parse(Totals(START, 1.0, 1, 0, {}))
    calls = [each for each in messages if isinstance(each, Grpc)]
    assert len(calls) == len([each for each in messages if isinstance(each, Http)]) == 60
    assert {each.size for each in calls} == {200_000}
    assert any("memory ran short" in each.error and len(each.data) < 50_000 for each in calls)
    assert all("memory ran short" in each.error or len(each.data) in {99_995, 200_000} for each in calls)
