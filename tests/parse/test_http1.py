"""Dialogues in HTTP/1.x, and the messages that come of them."""

from __future__ import annotations

import gzip
import hashlib

import pytest
from dialogue import LOCAL, READ, REMOTE, WHO, WRITE, Dialogue
from msgspec import UNSET

from pellucid.model import Http, Lost, RawData, Request, Response
from pellucid.parse import Limits

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a.example\r\n\r\n" % path.encode()


def ok(body: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(body), body)


def only(messages) -> Http:
    (message,) = messages
    assert isinstance(message, Http)
    return message


def pairs(messages):
    """Return url, status and response body of each exchange, other messages by their type."""
    return [
        (
            m.request and m.request.url,
            m.response and m.response.status,
            m.response and m.response.body,
        )
        if isinstance(m, Http)
        else type(m).__name__
        for m in messages
    ]


def raws(messages):
    return [(m.direction, m.offset, m.data) for m in messages if isinstance(m, RawData)]


def test_one_exchange_fills_every_field():
    """A request and its response become one message with all that is known of both."""
    talk = (
        Dialogue()
        >> b"POST /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 3\r\n\r\nabc"
        << b"HTTP/1.1 404 Not Here\r\nContent-Length: 4\r\n\r\n\xff\x00ab"
    )
    expected = Http(
        ts="2023-11-14T22:13:20.001000Z",
        **WHO,
        protocol="HTTP/1.1",
        request=Request(
            method="POST",
            url="/a?b=c",
            authority="a.example",
            headers=[("Host", "a.example"), ("X-Two", "1"), ("x-two", "2"), ("Content-Length", "3")],
            body="abc",
            size=3,
        ),
        response=Response(
            status=404,
            reason="Not Here",
            headers=[("Content-Length", "4")],
            body=b"\xff\x00ab",
            encoding="base64",
            size=4,
        ),
        duration_ms=1.0,
        request_ms=0.0,
        response_ms=0.0,
    )
    assert expected == only(talk.messages())


def test_how_long_each_half_took():
    """The time from the first byte of a half to its last is told apart from the waiting between them."""
    talk = Dialogue() >> b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n" >> b"ab" >> b"cd"
    talk = talk << b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" << b"ok"
    message = only(talk.messages())
    assert (message.request_ms, message.response_ms, message.duration_ms) == (2.0, 1.0, 4.0)


def test_half_an_exchange_has_no_other_times():
    """Of a request that was not answered only its own time is known."""
    message = only((Dialogue() >> GET).messages())
    assert (message.request_ms, message.response_ms, message.duration_ms) == (0.0, None, None)


def test_a_program_that_reads_requests_is_the_server():
    """The client's end is the source, whichever end is watched."""
    message = only((Dialogue() << GET >> OK).messages())
    assert ("server", REMOTE, LOCAL) == (message.role, message.src, message.dst)


def test_keep_alive():
    """Exchanges of one connection become one message each, in order."""
    talk = Dialogue() >> get("/1") << ok(b"one") >> get("/2") << ok(b"two")
    assert [("/1", 200, "one"), ("/2", 200, "two")] == pairs(talk.messages())


def test_pipelining():
    """Responses answer pipelined requests in order, also when each side comes at once."""
    talk = Dialogue() >> get("/1") + get("/2") + get("/3") << ok(b"one") + ok(b"two") + ok(b"three")
    assert [("/1", 200, "one"), ("/2", 200, "two"), ("/3", 200, "three")] == pairs(talk.messages())


def test_chunked_with_trailers():
    """Chunked framing and extensions vanish from the body; trailers are kept apart."""
    body = b'5;x="y"\r\nhello\r\n7\r\n, world\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n'
    messages = (Dialogue() >> get("/1") << CHUNKED + body >> get("/2") << OK).messages()
    response = messages[0].response
    assert ("hello, world", 12) == (response.body, response.size)
    assert [("X-Sum", "1"), ("X-Sum", "2")] == response.trailers
    assert ("/2", 200, "ok") == pairs(messages)[1]


def test_a_chunked_request_without_trailers():
    """A body without trailers leaves them out, and the response is still found."""
    request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    message = only((Dialogue() >> request << OK).messages())
    assert ("abc", UNSET, "ok") == (message.request.body, message.request.trailers, message.response.body)


@pytest.mark.parametrize("head", [b"204 No Content\r\n", b"304 Not Modified\r\nContent-Length: 9\r\n"])
def test_statuses_without_a_body(head):
    """A 204 or 304 ends with its head, whatever its fields say."""
    talk = Dialogue() >> get("/1") << b"HTTP/1.1 " + head + b"\r\n" >> get("/2") << OK
    assert [("/1", int(head[:3]), ""), ("/2", 200, "ok")] == pairs(talk.messages())


def test_the_response_to_head_has_no_body():
    """Content-Length in the response to HEAD is of the body that GET would get."""
    head = b"HEAD /1 HTTP/1.1\r\n\r\n"
    talk = Dialogue() >> head + get("/2") << b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + OK
    assert [("/1", 200, ""), ("/2", 200, "ok")] == pairs(talk.messages())


def test_interim_responses_take_no_request():
    """100 and 103 come before the response; neither is one."""
    post = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    message = only((Dialogue() >> post << interim >> b"hi" << hints + OK).messages())
    assert ("hi", 200, 3.0) == (message.request.body, message.response.status, message.duration_ms)


def test_early_response():
    """A response that is complete before its request waits for the rest of it."""
    post = b"POST /1 HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"
    talk = Dialogue() >> post << ok(b"no") >> b"def" + get("/2") << ok(b"yes")
    messages = talk.messages()
    assert [("/1", 200, "no"), ("/2", 200, "yes")] == pairs(messages)
    assert "abcdef" == messages[0].request.body


def test_early_response_to_a_request_that_never_ends():
    """A server may answer and close; the exchange says that the request was cut."""
    post = b"POST /1 HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"
    message = only((Dialogue() >> post << ok(b"no")).close().messages())
    assert "the request body was incomplete when the connection closed" == message.error
    assert (True, "no", 1.0) == (message.truncated, message.response.body, message.duration_ms)


def test_a_response_that_ends_with_the_connection():
    """Neither length nor chunks: closing completes it, and is no error."""
    talk = Dialogue() >> GET << b"HTTP/1.0 200 OK\r\n\r\nall of it" << b" is body\r\n\r\n"
    message = only(talk.close().messages())
    assert ("all of it is body\r\n\r\n", None, False, 2.0) == (
        message.response.body,
        message.error,
        message.truncated,
        message.duration_ms,
    )


def test_a_response_that_was_arriving_when_the_capture_ended():
    """What came is shown, and that there was more."""
    message = only((Dialogue() >> GET << b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").messages())
    assert ("half", 4, True) == (message.response.body, message.response.size, message.truncated)
    assert "the response body was incomplete when the capture ended" == message.error


@pytest.mark.parametrize(("closed", "what"), [(True, "the connection closed"), (False, "the capture ended")])
def test_requests_without_a_response(closed, what):
    """Every waiting request comes out at the end, with the reason."""
    talk = Dialogue() >> get("/1") + get("/2")
    messages = (talk.close() if closed else talk).messages()
    assert [("/1", None, None), ("/2", None, None)] == pairs(messages)
    assert {f"no response before {what}"} == {message.error for message in messages}


def test_upgrade():
    """After 101 both directions are raw data, from the byte after the head on."""
    ask = b"GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    messages = (Dialogue() >> ask << switch + b"\x81\x02hi" >> GET).messages()
    assert [("/chat", 101, ""), "RawData", "RawData"] == pairs(messages)
    assert [("read", len(switch), "\x81\x02hi".encode("latin-1")), ("write", len(ask), GET.decode())] == raws(
        messages
    )


def test_an_upgrade_that_the_server_ignores():
    """A request that asks for an upgrade may have a body, and be followed by others."""
    ask = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"
    messages = (Dialogue() >> ask << OK >> get("/2") << OK).messages()
    assert [("/", 200, "ok"), ("/2", 200, "ok")] == pairs(messages)
    assert "hi" == messages[0].request.body


def test_connect():
    """A tunnel is raw data once the proxy agrees; its authority is the target."""
    ask = b"CONNECT b.example:443 HTTP/1.1\r\nHost: proxy\r\n\r\n"
    agreed = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    messages = (Dialogue() >> ask << agreed >> b"\x16\x03" << b"\x16\x04").messages()
    assert [("b.example:443", 200, ""), "RawData", "RawData"] == pairs(messages)
    assert "b.example:443" == messages[0].request.authority
    assert [("write", len(ask), "\x16\x03"), ("read", len(agreed), "\x16\x04")] == raws(messages)


def test_a_refused_connect_stays_http():
    """A proxy that says no goes on in HTTP."""
    ask = b"CONNECT b.example:443 HTTP/1.1\r\n\r\n"
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    talk = Dialogue() >> ask << refused >> get("/2") << OK
    assert [("b.example:443", 403, "no"), ("/2", 200, "ok")] == pairs(talk.messages())


@pytest.mark.parametrize(
    ("request_line", "authority"),
    [
        (b"GET http://u:p@b.example:81/x HTTP/1.1", "b.example:81"),
        (b"GET /?u=http://c.example HTTP/1.1", "a.example"),
        (b"OPTIONS * HTTP/1.1", "a.example"),
    ],
)
def test_authority(request_line, authority):
    """The target's own authority comes before the Host header."""
    talk = Dialogue() >> request_line + b"\r\nHost: a.example\r\n\r\n" << OK
    assert authority == only(talk.messages()).request.authority


def test_any_method_is_a_method():
    """Methods are not a closed list: Varnish's BAN is read as well as GET."""
    assert "BAN" == only((Dialogue() >> b"BAN /x HTTP/1.1\r\n\r\n" << OK).messages()).request.method


def test_line_ends_and_spaces_that_are_tolerated():
    """Bare LF, empty lines before a request and spaces around values change nothing."""
    talk = Dialogue() >> b"GET /1 HTTP/1.0\nA:  b \t\n\n" << OK >> b"\r\n\n" + get("/2") << OK
    messages = talk.messages()
    assert [("/1", 200, "ok"), ("/2", 200, "ok")] == pairs(messages)
    assert ("HTTP/1.0", [("A", "b")]) == (messages[0].protocol, messages[0].request.headers)


def test_header_values_that_are_not_ascii():
    """UTF-8 is read as such, anything else as ISO 8859-1."""
    talk = Dialogue() >> b"GET / HTTP/1.1\r\nA: \xc3\xa9\r\nB: \xe9\r\n\r\n" << OK
    assert [("A", "é"), ("B", "é")] == only(talk.messages()).request.headers


def test_a_coded_body_is_shown_decoded():
    """The size is what was sent, the body is what was meant."""
    coded = gzip.compress(b"hello " * 100, mtime=0)
    response = only((Dialogue() >> GET << ok(coded, b"Content-Encoding: gzip\r\n")).messages()).response
    assert ("hello " * 100, len(coded), UNSET) == (response.body, response.size, response.sha256)


def test_a_transfer_coding_is_undone_too():
    """`Transfer-Encoding: gzip, chunked` is chunks of a gzip stream."""
    coded = gzip.compress(b"hello", mtime=0)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    response = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(coded), coded)
    assert "hello" == only((Dialogue() >> GET << response).messages()).response.body


def test_a_body_beyond_the_limit():
    """The beginning is shown, all is counted and hashed, and the next exchange is untouched."""
    body = "0123456789é".encode() * 3
    talk = Dialogue(limits=Limits(max_body=11)) >> GET << ok(body) >> get("/2") << OK
    first, second = talk.messages()
    assert ("0123456789", 36, True) == (first.response.body, first.response.size, first.truncated)
    assert hashlib.sha256(body).hexdigest() == first.response.sha256
    assert ("ok", False) == (second.response.body, second.truncated)


# --- garbage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"EHLO a.example\r\n",
        b"PING\r\n",
        b"get key\r\n",
        b"GET key\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"OPTIONS rtsp://a RTSP/1.0\r\n\r\n",
        b"\x16\x03\x01\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_other_protocols_are_raw_data(line):
    """What merely has lines, or resembles HTTP, is shown as it is."""
    assert [("write", 0, (line * 2).decode())] == raws((Dialogue() >> line >> line).messages())


def test_raw_data_keeps_order_and_place():
    """Bytes that nobody claims come out exactly, in the order in which they happened."""
    messages = (Dialogue() >> b"\x00a" << b"\xffb" >> b"c").messages()
    assert [("write", 0, "\x00a"), ("read", 0, b"\xffb"), ("write", 2, "c")] == raws(messages)
    assert [2, 2, 1] == [message.size for message in messages]


def test_bytes_still_undecided_at_the_end():
    """The beginning of what may become a request line is not swallowed."""
    assert [("write", 0, "GET /abc")] == raws((Dialogue() >> b"GET /abc").messages())


def test_a_head_that_never_ends():
    """Header lines that were held come out as raw data."""
    assert [("write", 0, GET[:-2].decode())] == raws((Dialogue() >> GET[:-2]).close().messages())


def test_garbage_after_http():
    """Bytes that are no request end HTTP: what waits is shown, then the bytes, then all others."""
    messages = (Dialogue() >> GET + b"\x01\x02" << OK).messages()
    assert ["Http", "RawData", "RawData"] == [type(message).__name__ for message in messages]
    assert [("write", len(GET), "\x01\x02"), ("read", 0, OK.decode())] == raws(messages)
    assert "no response before the connection left this protocol" == messages[0].error


def test_a_bad_header_line():
    """A head that llhttp refuses is raw data as a whole."""
    bad = b"GET / HTTP/1.1\r\nno colon\r\n\r\n"
    assert [("write", 0, bad.decode())] == raws((Dialogue() >> bad).messages())


@pytest.mark.parametrize("bad", [b"zz\r\n", b"3\r\nabcd\r\n", b"\r\n", b"0\r\nbad trailer\r\n\r\n"])
def test_bad_chunks(bad):
    """Where chunked framing breaks the body ends, and the rest of the connection is raw data."""
    messages = (Dialogue() >> GET << CHUNKED + b"2\r\nok\r\n" + bad + b"rest").messages()
    assert "the response body was incomplete when the connection left this protocol" == messages[0].error
    assert messages[0].response.body.startswith("ok")
    assert (CHUNKED + b"2\r\nok\r\n" + bad + b"rest").decode().endswith(raws(messages)[0][2])
    assert len(CHUNKED + b"2\r\nok\r\n" + bad + b"rest") == messages[1].offset + messages[1].size


def test_a_head_beyond_the_limit():
    """A head that does not end is given up, and not a byte of it is lost."""
    head = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50
    messages = (Dialogue(limits=Limits(max_head=100)) >> head).messages()
    assert [("write", 0, head.decode())] == raws(messages)


# --- the middle of a stream ------------------------------------------------------------------------


def test_mid_stream_in_a_request_body():
    """What lies before the first start line is raw data; then HTTP is found."""
    messages = (Dialogue(mid=True) >> b"tail of a body" << OK >> get("/2") << OK).messages()
    assert ["RawData", (None, 200, "ok"), ("/2", 200, "ok")] == pairs(messages)
    assert (None, None) == (messages[1].duration_ms, messages[1].error)


def test_mid_stream_in_a_response_body():
    """The direction that is in the middle of something is shown raw until a status line."""
    messages = (Dialogue(mid=True) >> get("/1") << b"tail" << ok(b"one")).messages()
    assert ["RawData", ("/1", 200, "one")] == pairs(messages)


def test_a_gap_in_a_body_of_known_length():
    """The missing bytes count, nothing else shifts, and no digest is claimed."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    talk = (Dialogue() >> get("/1") << response + b"abc").gap(READ, 4) << b"hij" + ok(b"two") >> get("/2")
    first, *others = [m for m in talk.messages() if not isinstance(m, Lost)]
    assert ("abchij", 10, UNSET) == (first.response.body, first.response.size, first.response.sha256)
    assert (True, "4 bytes of the response body were lost") == (first.truncated, first.error)
    assert [(None, 200, "two"), ("/2", None, None)] == pairs(others)


def test_a_gap_within_one_chunk():
    """A hole in the data of a chunk leaves the framing known."""
    talk = (Dialogue() >> GET << CHUNKED + b"6\r\na").gap(READ, 3) << b"ef\r\n0\r\n\r\n"
    lost, http = talk.messages()
    assert isinstance(lost, Lost)
    assert ("aef", 6, None) == (http.response.body, http.response.size, None)
    assert "3 bytes of the response body were lost" == http.error


def test_a_gap_over_the_end_of_a_body():
    """The exchange ends there, and the next status line is found behind raw data."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    talk = (Dialogue() >> get("/1") << response).gap(READ, 50) << b"tail" >> get("/2") << ok(b"two")
    messages = talk.messages()
    assert [("/1", 200, "abc"), "Lost", "RawData", ("/2", 200, "two")] == pairs(messages)
    assert "7 bytes of the response body were lost" == messages[0].error


def test_a_gap_over_chunk_framing():
    """Where chunks end cannot be known: the body ends at the hole, which the error says."""
    talk = (Dialogue() >> GET << CHUNKED + b"2\r\nok\r\n").gap(READ, 9) << b"zz" >> get("/2") << OK
    messages = talk.messages()
    assert [("/", 200, "ok"), "Lost", "RawData", ("/2", 200, "ok")] == pairs(messages)
    assert "the response body was incomplete when bytes were lost" == messages[0].error


def test_a_gap_in_a_response_that_ends_with_the_connection():
    """Its end needs no count, so the hole only adds to the size."""
    talk = (Dialogue() >> GET << b"HTTP/1.0 200 OK\r\n\r\nab").gap(READ, 5) << b"cd"
    lost, http = talk.close().messages()
    assert ("abcd", 9, True) == (http.response.body, http.response.size, http.truncated)
    assert "ring_full" == lost.reason


def test_a_lost_request():
    """The response is shown without one, and the next pair is right."""
    talk = (Dialogue() >> get("/1") << ok(b"one")).gap(WRITE, 60) << ok(b"lost") >> get("/3") << ok(b"three")
    assert [("/1", 200, "one"), "Lost", (None, 200, "lost"), ("/3", 200, "three")] == pairs(talk.messages())


def test_a_lost_response():
    """Its request is shown without one, and the next pair is right."""
    talk = (Dialogue() >> get("/1")).gap(READ, 60) >> get("/2") << ok(b"two")
    messages = talk.messages()
    assert [("/1", None, None), "Lost", ("/2", 200, "two")] == pairs(messages)
    assert "no response before bytes were lost" == messages[0].error


ONE_LOST = "no response before bytes were lost"


def test_a_lost_request_of_a_client_that_pipelines():
    """The request before the hole gets its response; which of the later ones is whose nobody knows."""
    talk = (Dialogue() >> get("/x")).gap(WRITE, 60) >> get("/b") << ok(b"x") + ok(b"a") + ok(b"b")
    messages = (talk >> get("/c") << ok(b"c")).messages()
    assert [
        "Lost", ("/x", 200, "x"), ("/b", None, None), (None, 200, "a"), (None, 200, "b"), ("/c", None, None),
        (None, 200, "c"),
    ] == pairs(messages)  # fmt: skip
    assert ONE_LOST == messages[2].error


@pytest.mark.parametrize("together", [True, False])
def test_a_lost_response_of_a_client_that_pipelines(together):
    """A request that is sent before the responses that are left does not get one of them."""
    talk = Dialogue() >> get("/a") + get("/b") if together else Dialogue() >> get("/a") >> get("/b")
    talk = talk.gap(READ, 60) >> get("/d") << ok(b"b") << ok(b"d")
    assert [
        ("/a", None, None), ("/b", None, None), "Lost", ("/d", None, None), (None, 200, "b"), (None, 200, "d"),
    ] == pairs(talk.messages())  # fmt: skip


def test_a_client_known_to_pipeline():
    """Behind a hole nothing of it is paired again: a response may always be that of the request before."""
    talk = Dialogue() >> get("/a") >> get("/b") << ok(b"a") >> get("/c")
    talk = talk.gap(READ, 60) << ok(b"c") >> get("/d") >> get("/e") << ok(b"d") >> get("/f") << ok(b"e")
    shown = pairs(talk.messages())
    assert ("/a", 200, "a") == shown[0]
    assert not [each for each in shown[1:] if each[0] and each[1] and each != "Lost"]
    assert {"/b", "/c", "/d", "/e", "/f"} == {each[0] for each in shown[1:] if each[0] and each != "Lost"}


def test_holes_in_both_directions():
    """A client that waits for each response is understood again at the next exchange, wherever the holes were."""
    lost = len(get("/2"))
    talk = (Dialogue() >> get("/1")).gap(WRITE, lost) >> get("/3")
    talk = talk.gap(READ, 100) << ok(b"three") >> get("/4") << ok(b"four")
    assert [
        "Lost", ("/1", None, None), ("/3", None, None), "Lost", (None, 200, "three"), ("/4", 200, "four"),
    ] == pairs(talk.messages())  # fmt: skip


def test_many_requests_behind_a_hole():
    """What can never be paired does not pile up."""
    talk = Dialogue(limits=Limits(max_pending=4)) >> get("/a") + get("/b")
    talk = talk.gap(READ, 60) >> b"".join(get(f"/{number}") for number in range(20)) << ok(b"a")
    exchanges = [each for each in pairs(talk.messages()) if each != "Lost"]
    assert len(exchanges) == 23
    assert (None, 200, "a") == exchanges[-1]


def test_a_gap_in_a_head():
    """The held beginning comes out before the hole, in order."""
    talk = (Dialogue() >> GET[:20]).gap(WRITE, 5) >> b"tail" >> get("/2") << OK
    messages = talk.messages()
    assert ["RawData", "Lost", "RawData", ("/2", 200, "ok")] == pairs(messages)
    assert [("write", 0, GET[:20].decode()), ("write", 25, "tail")] == raws(messages)


# --- bounds ----------------------------------------------------------------------------------------


def test_more_pipelined_requests_than_may_wait():
    """The oldest is shown without a response, and its response does not go to another request."""
    talk = Dialogue(limits=Limits(max_pending=1)) >> get("/1") + get("/2") << ok(b"one") + ok(b"two")
    messages = talk.messages()
    assert [("/1", None, None), (None, 200, "one"), ("/2", 200, "two")] == pairs(messages)
    assert "no response before 1 further requests" == messages[0].error
    assert "its request was shown before: too many were waiting" == messages[1].error


def test_a_later_start_line_beyond_the_limit():
    """Behind a first exchange, too, a start line that does not end is not waited for."""
    line = b"GET /" + b"a" * 1000
    messages = (Dialogue(limits=Limits(max_sniff=500)) >> GET << OK >> line << b"HTTP").messages()
    assert [("write", len(GET), line.decode()), ("read", len(OK), "HTTP")] == raws(messages)
