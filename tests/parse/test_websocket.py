"""WebSocket as dialogues; frames are those of the RFCs' examples, or made by the library `websockets`."""

from __future__ import annotations

import hashlib
import random

import pytest
from dialogue import READ, START, WHO, WRITE, Dialogue, connection, raw_bytes, run
from msgspec import UNSET
from websocket_talk import ASK, DEFLATE, client, deflater, frame, packed, raws, sockets, switch, talk, told

from pellucid.model import Chunk, Http, Lost, Request, Response, WebSocket
from pellucid.parse import Ending, Limits, Parse, Upgrade
from pellucid.parse.budget import Budget
from pellucid.parse.http1.parser import Http1
from pellucid.parse.websocket.parser import WebSocket as Parser

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def test_one_message_fills_every_field():
    """A message says which connection and handshake it belongs to, what it is and when it was complete."""
    http, message = (talk() << b"\x81\x05Hello").messages()

    assert isinstance(http, Http)
    assert message == WebSocket(
        ts="2023-11-14T22:13:20.003000Z",
        **WHO,
        url="/chat?room=1",
        direction="read",
        opcode="text",
        data="Hello",
        size=5,
    )


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("8105 48656c6c6f", ("text", "Hello")),
        ("8185 37fa213d 7f9f4d5158", ("text", "Hello")),
        ("0103 48656c 8002 6c6f", ("text", "Hello")),
        ("8905 48656c6c6f", ("ping", "Hello")),
        ("8a85 37fa213d 7f9f4d5158", ("pong", "Hello")),
        ("827e0100" + "61" * 256, ("binary", "a" * 256)),
        ("827f0000000000010000" + "61" * 65536, ("binary", "a" * 65536)),
    ],
)
def test_the_examples_of_the_rfc(frames, expected):
    """What RFC 6455 section 5.7 lists is read as it says there."""
    (message,) = sockets((talk() << bytes.fromhex(frames)).once())

    assert (message.opcode, message.data) == expected


def test_both_directions():
    """Masked and unmasked messages come in the order in which they happened, the first of them with the 101."""
    ask = Dialogue(parsers=(Http1, Parser)) << ASK
    both = ask >> switch() + frame(TEXT, b"welcome") << client(TEXT, b"hi") >> frame(TEXT, "später".encode())

    assert told(both.messages()) == [
        "Http",
        ("write", "text", "welcome"),
        ("read", "text", "hi"),
        ("write", "text", "später"),
    ]


def test_fragments_and_what_comes_between():
    """Fragments become one message at their end; control frames between them are shown when they come."""
    pieces = (
        frame(TEXT, b"gr" + b"\xc3", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"\xbc", fin=False)
    )
    messages = (talk() << pieces >> client(PONG, b"?") << frame(CONTINUATION, b"n")).messages()

    assert told(messages)[1:] == [("read", "ping", "?"), ("write", "pong", "?"), ("read", "text", "grün")]
    assert messages[-1].size == 5


@pytest.mark.parametrize(
    ("payload", "code", "words", "error"),
    [
        (b"\x03\xe8", 1000, "", None),
        (b"\x0f\xa0going away", 4000, "going away", None),
        (b"", UNSET, "", None),
        (b"\x03", UNSET, "\x03", "a status code of one byte"),
    ],
)
def test_close(payload, code, words, error):
    """A close says its code and the words to it."""
    (message,) = sockets((talk() << frame(CLOSE, payload)).close().messages())

    assert (message.opcode, message.code, message.data, message.error) == ("close", code, words, error)
    assert message.size == len(payload)


def test_bytes_that_are_not_text():
    """Binary data is base64; a text that is not UTF-8 is too, and says so."""
    binary, text = sockets((talk() << frame(BINARY, b"\xff\x00") + frame(TEXT, b"\xff\x00")).messages())

    assert [(m.data, m.encoding, m.error) for m in (binary, text)] == [
        (b"\xff\x00", "base64", None),
        (b"\xff\x00", "base64", "a text that is not UTF-8"),
    ]


def test_a_message_beyond_the_limit():
    """The beginning is shown, all is counted and hashed, and the next message is whole."""
    long = "0123456789é".encode() * 3
    first, second = sockets(
        (talk(limits=Limits(max_body=11)) << frame(TEXT, long) + frame(TEXT, b"next")).messages()
    )

    assert (first.data, first.size, first.truncated) == ("0123456789", 36, True)
    assert first.sha256 == hashlib.sha256(long).hexdigest()
    assert (second.data, second.truncated, second.error) == ("next", False, None)


# --- permessage-deflate ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        "c107 f248cdc9c90700",
        "4103 f248cd 8004 c9c90700",
        "c10b 000500faff48656c6c6f00",
        "c108 f348cdc9c9070000",
        "c10d f248050000 00ffffcac9c90700",
        "c107 f248cdc9c90700 c105 f200110000",
    ],
    ids=["one frame", "two fragments", "stored", "a last block", "two blocks", "the same again"],
)
def test_the_examples_of_the_rfc_about_compression(frames):
    """What RFC 7692 section 7.2.3 lists is read as it says there."""
    messages = sockets((talk(DEFLATE) << bytes.fromhex(frames)).messages())

    assert {m.data for m in messages} == {"Hello"}
    assert {(m.size, m.error) for m in messages} == {(5, None)}
    assert len(messages) == 1 + (frames.count("c1") == 2)


def test_contexts_of_the_two_directions_are_apart():
    """Each side refers to its own earlier messages, of which uncompressed ones are no part."""
    ours, theirs = deflater(), deflater()
    first = packed(ours, TEXT, b"one and two", mask=True)
    again = packed(ours, TEXT, b"one and two", mask=True)
    messages = (
        talk(DEFLATE)
        >> first
        << packed(theirs, TEXT, b"three and four")
        << frame(TEXT, b"as it is") + packed(theirs, TEXT, b"three and four")
        >> again
    ).messages()

    assert len(again) < len(first)
    assert [m.data for m in sockets(messages)] == [
        "one and two",
        "three and four",
        "as it is",
        "three and four",
        "one and two",
    ]


def test_a_compressed_message_beyond_the_limit():
    """It is read to its end, so that its size and hash are right and later messages can refer to it."""
    long = random.Random(1).randbytes(3000)
    sender = deflater()
    frames = packed(sender, BINARY, long) + packed(sender, BINARY, long[-500:])
    first, second = sockets((talk(DEFLATE, limits=Limits(max_body=600)) << frames).messages())

    assert (first.data, first.size, first.truncated) == (long[:600], 3000, True)
    assert first.sha256 == hashlib.sha256(long).hexdigest()
    assert (second.data, second.error) == (long[-500:], None)


def test_bombs():
    """What becomes far more than anybody compresses is given up over all messages of a direction, shown as it was sent,
    and holds up nothing.
    """
    sender = deflater(keeps=False)
    bomb, after = packed(sender, TEXT, b"a" * (6 << 20)), packed(sender, TEXT, b"after")
    fields = DEFLATE.replace(b"\r", b"; server_no_context_takeover\r")
    *bombs, last = sockets((talk(fields) << bomb * 40 + after * 500).once())

    whole = [each for each in bombs[:40] if each.error is None]
    assert len(whole) * 6 << 20 <= (16 << 20) + 64 * len(bomb) * 40
    assert {each.size for each in whole} == {6 << 20}
    assert (bombs[4].data, bombs[4].error) == (bomb[4:], "compressed, and it becomes too much")
    assert (last.data, last.error) == ("after", None)


def test_compression_that_is_broken():
    """It is shown as it was sent; a later message is shown if it refers to nothing before."""
    sender = deflater()
    first, second = packed(sender, TEXT, b"hello hello hello"), packed(sender, TEXT, b"hello hello hello")
    broken, refers, fresh = sockets(
        (
            talk(DEFLATE) << first + b"\xc1\x03\xff\xff\xff" + second + packed(deflater(), TEXT, b"new")
        ).messages()
    )[1:]

    assert (broken.data, broken.error) == (b"\xff\xff\xff", "compressed, and not as it was agreed on")
    assert refers.error == "compressed, and what it refers to could not be read"
    assert (fresh.data, fresh.error) == ("new", None)


def test_an_extension_that_is_not_known():
    """Nobody can say what its frames mean: they are raw data."""
    frames = b"\xc1\x05Hello"
    messages = (talk(b"Sec-WebSocket-Extensions: permessage-deflate, x-other\r\n") << frames).messages()

    assert ["Http", "RawData"] == told(messages)
    assert frames == raws(messages)[0][2]


# --- what is no WebSocket ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        b"\xb1\x01x",
        b"\x83\x01x",
        b"\x09\x01x",
        b"\x89\x7e\x00\x7e" + b"x" * 126,
        b"\xc1\x01x",
        b"\x80\x01x",
        b"\x81\xff" + b"\xff" * 8 + b"mask",
    ],
    ids=["reserved bit", "opcode", "fragmented ping", "long ping", "compressed", "continuation", "length"],
)
def test_bytes_that_are_no_frame(bad):
    """What is pending is shown, then the bytes from the head of that frame on, and all later ones, as raw data."""
    begun = frame(BINARY, b"fra", fin=False) if bad[0] != 0x80 else b""
    good = frame(TEXT, b"good")
    messages = (talk() << good + begun + bad >> client(TEXT, b"later")).messages()

    assert [m.error for m in sockets(messages)] == [
        None,
        *["incomplete when the connection left this protocol"] * bool(begun),
    ]
    place = len(switch()) + len(good) + len(begun)
    assert raws(messages)[0][:2] == ("read", place)
    assert b"".join(data for _, _, data in raws(messages)[:1]) == bad
    assert raws(messages)[1][:2] == ("write", len(ASK))


def test_a_message_that_does_not_end():
    """What came of it is shown at the end, with the reason; of a head that is not complete the bytes."""
    messages = (talk() << frame(TEXT, b"hello")[:4] >> client(PING)[:5]).close().messages()
    (text,) = sockets(messages)

    assert (text.data, text.size, text.truncated) == ("he", 2, True)
    assert text.error == "incomplete when the connection closed"
    assert [("write", len(ASK), 5)] == [(way, at, len(data)) for way, at, data in raws(messages)]


# --- holes -------------------------------------------------------------------------------------------


def test_a_gap_within_a_payload():
    """The hole is counted, unmasking goes on in its place, and the next message is whole."""
    data = client(TEXT, b"0123456789")
    messages = ((talk() >> data[:8]).gap(WRITE, 3) >> data[11:] + client(TEXT, b"next")).messages()
    holed, whole = sockets(messages)

    assert (holed.data, holed.size, holed.truncated) == ("0156789", 10, True)
    assert (holed.error, holed.sha256) == ("3 bytes of its payload were lost", UNSET)
    assert (whole.data, whole.error) == ("next", None)


def test_a_gap_within_a_compressed_message():
    """What came before the hole is shown; messages that refer to it say that they cannot be read."""
    sender, text = deflater(), random.Random(1).randbytes(300).hex().encode()
    first, second, third = (packed(sender, TEXT, text) for _ in range(3))
    talking = (talk(DEFLATE) << first + second[:8]).gap(READ, 4) << second[12:] + third
    whole, holed, refers = sockets(talking.messages())

    assert (whole.data, whole.error) == (text.decode(), None)
    assert text.decode().startswith(holed.data)
    assert holed.error == "compressed, and bytes were lost; 4 bytes of its payload were lost"
    assert (holed.truncated, holed.size) == (True, len(holed.data))
    assert (refers.data, refers.error) == (third[2:], "compressed, and bytes were lost")


def test_a_gap_over_the_beginning_of_a_frame():
    """The message ends there, bytes are raw until frames are found beyond doubt, and a lost context is said."""
    sender = deflater()
    first, second = packed(sender, TEXT, b"all the same"), packed(sender, TEXT, b"all the same")
    talking = (talk(DEFLATE) << first + frame(TEXT, b"lost")[:3]).gap(READ, 30) << b"st of something"
    for number in range(4):
        talking = talking << frame(BINARY, bytes([number]))
    messages = (talking << second << frame(TEXT, b"end")).once()

    assert told(messages) == [
        "Http",
        ("read", "text", "all the same"),
        ("read", "text", "l"),
        "Lost",
        "RawData",
        *[("read", "binary", bytes([number]).decode()) for number in range(1, 4)],
        ("read", "text", second[2:]),  # compressed, as it was sent
        ("read", "text", "end"),
    ]
    assert messages[2].error == "3 bytes of its payload were lost"
    assert raws(messages)[0][2] == b"st of something" + frame(
        BINARY, b"\0"
    )  # only those behind it prove this one
    assert messages[-2].error == "compressed, and bytes were lost"


def test_after_a_gap_a_later_fragment_is_shown_as_such():
    """What kind of message it belongs to was in the hole, and it says so."""
    fragment = frame(PING) + frame(CONTINUATION, b"lo")
    rest = fragment + frame(TEXT, b"three words here") + frame(TEXT, b"and some more")
    _, lost, ping, fragment, *texts = (talk().gap(READ, 30) << rest).once()

    assert isinstance(lost, Lost)
    assert raw_bytes(ping) == frame(PING)
    assert (fragment.opcode, fragment.data, fragment.truncated) == ("continuation", "lo", True)
    assert fragment.error == "its beginning was not seen"
    assert [m.data for m in texts] == ["three words here", "and some more"]


# --- the middle of a connection ----------------------------------------------------------------------


def test_mid_connection_by_the_clients_text():
    """A masked text that fills its chunk is a WebSocket; the role follows from the mask, the url is not known."""
    said = client(TEXT, b'{"subscribe": "prices", "id": 1}')
    binaries = b"".join(frame(BINARY, b"\0%d" % number) for number in range(4))
    messages = (Dialogue(parsers=(Http1, Parser), mid=True) >> said << binaries).once()

    assert told(messages)[0] == ("write", "text", '{"subscribe": "prices", "id": 1}')
    assert told(messages)[1:] == ["RawData", *[("read", "binary", f"\x00{number}") for number in range(1, 4)]]
    assert {(m.role, m.url) for m in sockets(messages)} == {("client", None)}


def test_mid_connection_by_the_servers_texts():
    """Several unmasked texts are one as well, here at the server."""
    texts = [f"tick tick tick {number}" for number in range(10, 13)]
    frames = b"".join(frame(TEXT, text.encode()) for text in texts)
    messages = (Dialogue(parsers=(Http1, Parser), mid=True) >> frames).once()

    assert told(messages) == [("write", "text", text) for text in texts]
    assert {m.role for m in messages} == {"server"}


def test_mid_connection_compressed():
    """What refers to messages from before the capture says so, and is never shown wrong."""
    sender = deflater()
    packed(sender, TEXT, b"before the capture", mask=True)
    told_before = b"".join(packed(sender, TEXT, b"before the capture", mask=True) for _ in range(2))
    new = [packed(deflater(), TEXT, b"new %d" % number, mask=True) for number in range(5)]
    messages = sockets((Dialogue(parsers=(Http1, Parser), mid=True) >> told_before + b"".join(new)).once())

    assert messages[0].error == "compressed, and the handshake was not seen"
    assert [(m.data, m.error) for m in messages[1:]] == [(f"new {number}", None) for number in range(5)]


def test_frames_that_were_found_and_end():
    """Where frames were only found, what is none does not end the protocol: they are looked for again."""
    said = client(TEXT, b"a text that is long enough to be sure")
    begun = client(BINARY, b"more", fin=False)
    talking = Dialogue(parsers=(Http1, Parser), mid=True) >> said + begun + b"\x83 no frame"
    messages = ((talking.gap(WRITE, 9) >> b"neither").gap(WRITE, 9) >> said).once()

    assert told(messages) == [
        ("write", "text", "a text that is long enough to be sure"),
        ("write", "binary", "more"),
        "RawData",
        "Lost",
        "RawData",
        "Lost",
        ("write", "text", "a text that is long enough to be sure"),
    ]
    assert messages[1].error == "incomplete when what follows was no frame"
    assert [data for _, _, data in raws(messages)] == [b"\x83 no frame", b"neither"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x09\x00\x0a\x00\x04a/b0\x01" * 8,
        b"\x81\xa5names\x01" * 3,
        b"\x81\x05hello",
        b"\x82\x01\x02" * 20,
        client(TEXT, b"some text, in part" * 3)[:-4],
        client(TEXT, b"one text") + b"and what is none",
        b"".join(frame(PING, b"\x00") + client(PING, b"\x00") for _ in range(9)),
        b"\x81\x7e\x00\x05hello" * 9,
        b"\x82\x86\x01\x02" * 99,
    ],
    ids=["MQTT", "msgpack", "one text", "CBOR", "cut", "more", "mixed masks", "long lengths", "masked zeros"],
)
def test_mid_connection_what_may_be_something_else(data):
    """Bytes that are like frames, and could be another protocol's, are raw data."""
    messages = (Dialogue(parsers=(Http1, Parser), mid=True) >> data).once()

    assert data == b"".join(part for _, _, part in raws(messages))
    assert not sockets(messages)


def test_a_connection_without_a_handshake_is_none():
    """A connection that begins with frames is not a WebSocket, however good they look."""
    messages = (
        Dialogue(parsers=(Http1, Parser)) >> client(TEXT, b"a text that is long enough to be sure")
    ).once()

    assert ["RawData"] == told(messages)


# --- memory ------------------------------------------------------------------------------------------


def begun(limits, fields=()):
    """A parser that has taken over, the watched program being the client."""
    made = connection()
    response = Response(status=101, reason="", headers=list(fields))
    request = Request(method="GET", url="/", authority=None, headers=[])
    budget = Budget(limits.max_held)
    return (
        made,
        Parser.takes_over(made, limits, budget, Upgrade("websocket", WRITE, request, response)),
        budget,
    )


def test_shortening_forgets_contexts_and_cuts_payloads():
    """Short memory costs the end of what is pending and what messages refer to; both are said."""
    made, parser, _ = begun(Limits(), [("Sec-WebSocket-Extensions", "permessage-deflate")])
    sender = deflater()
    first, second = packed(sender, TEXT, b"the same words"), packed(sender, TEXT, b"the same words")
    parser.feed(Chunk(made, READ, 0, START, first))
    assert parser.holds().bodies > 32 << 10
    text = frame(BINARY, b"x" * 1000)
    parser.feed(Chunk(made, READ, 100, START, text[:900]))
    parser.shorten(100)

    assert parser.holds().bodies < 1000
    (cut,) = parser.feed(Chunk(made, READ, 1000, START, text[900:]))
    (refers,) = parser.feed(Chunk(made, READ, 2000, START, second))
    assert (cut.data, cut.size, cut.error) == ("x" * 100, 1000, f"cut: {Ending.MEMORY}")
    assert cut.sha256 == hashlib.sha256(b"x" * 1000).hexdigest()
    assert refers.error == f"compressed, and {Ending.MEMORY}"


def test_many_connections_under_one_limit():
    """Where their windows do not fit, messages that need one say so, the others are right, and no connection is lost."""
    stage = Parse([Http1, Parser], Limits(max_held=500_000))
    made = [connection(number) for number in range(40)]
    senders = [deflater() for _ in made]
    head = len(switch(DEFLATE))
    shown = []
    for one in made:
        run(stage, [Chunk(one, WRITE, 0, START, ASK), Chunk(one, READ, 0, START, switch(DEFLATE))])
    for number in range(3):
        text = b"the same words %d" % number
        flows = [
            Chunk(one, READ, head + number, START, packed(sender, TEXT, text))
            for one, sender in zip(made, senders, strict=True)
        ]
        shown += [(message.error, raw_bytes(message) == text) for message in run(stage, flows)]

    assert len(shown) == 120
    assert set(shown) == {(None, True), (f"compressed, and {Ending.MEMORY}", False)}


def test_what_grows_by_decompressing_is_charged():
    """A few bytes that become many are counted as what they become."""
    made, parser, budget = begun(Limits(), [("Sec-WebSocket-Extensions", "permessage-deflate")])
    before = budget.left
    bomb = packed(deflater(), TEXT, b"a" * 500_000)
    parser.feed(Chunk(made, READ, 0, START, bomb[:-1]))

    assert before - budget.left >= 500_000
    assert parser.holds().bodies >= 500_000
