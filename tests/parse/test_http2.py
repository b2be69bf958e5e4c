"""Dialogues in HTTP/2, and the messages that come of them."""

from __future__ import annotations

import gzip
import hashlib
import struct

import pytest
from dialogue import LOCAL, READ, REMOTE, WHO, WRITE, raw_bytes
from frames import (
    END_HEADERS,
    END_STREAM,
    PADDED,
    PRIORITY,
    asked,
    data,
    frame,
    goaway,
    reset,
    settings,
)
from http2_talk import OK, begun, dialogue, only, shown
from msgspec import UNSET

from pellucid.model import Http, RawData, Request, Response
from pellucid.parse import Limits


def test_one_exchange_fills_every_field(pair):
    """A request and its response become one message, pseudo-header fields in their places."""
    talk = (
        begun(pair)
        >> pair.client.post(1, "/a?b=c", b"abc", ("x-two", "1"), ("x-two", "2"))
        << pair.server.answer(1, b"\xff\x00ab", ("content-length", "4"), status=404)
    )
    expected = Http(
        ts="2023-11-14T22:13:20.003000Z",
        **WHO,
        protocol="HTTP/2",
        stream=1,
        request=Request(
            method="POST",
            url="/a?b=c",
            authority="a.example",
            headers=[("x-two", "1"), ("x-two", "2")],
            body="abc",
            size=3,
        ),
        response=Response(
            status=404,
            reason="",
            headers=[("content-length", "4")],
            body=b"\xff\x00ab",
            encoding="base64",
            size=4,
        ),
        duration_ms=1.0,
        request_ms=0.0,
        response_ms=0.0,
    )
    assert expected == only(talk.messages())


def test_interleaved_streams_are_kept_apart(pair):
    """Bodies of three streams that come in pieces, one in another, are put together; first ended is first shown."""
    client, server = pair.client, pair.server
    opened = b"".join(server.headers(stream, OK) for stream in (3, 1, 5))
    pieces = data(1, b"a") + data(5, b"b") + data(3, b"c") + data(1, b"a") + data(5, b"b" * 9, end=True)
    talk = (
        begun(pair)
        >> client.get(1, "/1") + client.get(3, "/3") + client.get(5, "/5")
        << opened + pieces + data(3, b"", end=True) + data(1, b"a", end=True)
    )
    assert [(5, "/5", 200, "b" * 10), (3, "/3", 200, "c"), (1, "/1", 200, "aaa")] == shown(talk.messages())


@pytest.mark.parametrize("server_first", [False, True])
def test_the_role_is_told_by_the_preface(pair, server_first):
    """Who sends the preface is the client, whichever end is watched and speaks first."""
    talk = (
        dialogue() >> pair.welcome << pair.hello if server_first else dialogue() << pair.hello >> pair.welcome
    )
    message = only((talk << pair.client.get(1) >> pair.server.answer(1, b"ok")).messages())
    assert ("server", REMOTE, LOCAL) == (message.role, message.src, message.dst)


def test_alpn_is_enough(pair):
    """Where both ends have agreed on h2, a server that begins with empty SETTINGS is believed."""
    talk = dialogue() << settings() >> pair.hello + pair.client.get(1) << pair.server.answer(1, b"ok")
    talk.connection.session = talk.connection.session._replace(alpn="h2")
    assert [(1, "/", 200, "ok")] == shown(talk.messages())


def test_continuation_padding_and_priority(pair):
    """A header block in three frames, padding of every frame that may have it, and a priority change nothing."""
    block = pair.client.block(*asked("POST", "/long"), ("x", "y" * 30))
    first = bytes([4]) + b"\0\0\0\0\x10" + block[:7] + b"\0\0\0\0"
    request = (
        frame(1, PADDED | PRIORITY, 1, first)
        + frame(9, 0, 1, block[7:9])
        + frame(9, END_HEADERS, 1, block[9:])
        + frame(0, PADDED, 1, b"\x03abc\0\0\0")
        + frame(0, PADDED, 1, b"\x05\0\0\0\0\0")
        + frame(0, PADDED | END_STREAM, 1, b"\0def")
    )
    message = only((begun(pair) >> request << pair.server.answer(1, b"ok")).messages())
    assert ("/long", [("x", "y" * 30)], "abcdef") == (
        message.request.url,
        message.request.headers,
        message.request.body,
    )


def test_frames_that_say_nothing_of_exchanges(pair):
    """PING, PRIORITY, WINDOW_UPDATE, SETTINGS and frames of unknown types are passed over, however long they are."""
    noise = (
        frame(6, 0, 0, bytes(8))
        + frame(2, 0, 1, bytes(5))
        + frame(8, 0, 1, b"\0\0\0\1")
        + settings(s1=0, s5=20000)
        + frame(0x10, 0, 0, b"\0\0\0\1u=1")
        + frame(0xBA, 0xFF, 1, bytes(3000))
    )
    client, server = pair.client, pair.server
    talk = (
        begun(pair)
        >> noise + client.get(1) + noise
        << server.headers(1, OK) + noise + data(1, b"ok", end=True)
    )
    assert [(1, "/", 200, "ok")] == shown(talk.messages())


def test_trailers(pair):
    """Fields after a body are its trailers, in both directions."""
    client, server = pair.client, pair.server
    request = (
        client.headers(1, *asked("POST", "/")) + data(1, b"up") + client.headers(1, ("a", "1"), end=True)
    )
    response = server.headers(1, OK) + data(1, b"down") + server.headers(1, ("b", "2"), ("b", "3"), end=True)
    message = only((begun(pair) >> request << response).messages())
    assert ([("a", "1")], "up") == (message.request.trailers, message.request.body)
    assert ([("b", "2"), ("b", "3")], "down") == (message.response.trailers, message.response.body)


def test_interim_responses_are_not_the_response(pair):
    """100 and 103 come before the response; neither is one."""
    server = pair.server
    interim = server.headers(1, (":status", "100")) + server.headers(1, (":status", "103"), ("link", "</a>"))
    talk = begun(pair) >> pair.client.post(1, "/", b"hi") << interim + server.answer(1, b"ok")
    assert [(1, "/", 200, "ok")] == shown(talk.messages())


def test_early_response(pair):
    """A response that is complete before its request waits for the rest of it."""
    client = pair.client
    talk = begun(pair) >> client.headers(1, *asked("POST", "/")) + data(1, b"abc")
    message = only((talk << pair.server.answer(1, b"no") >> data(1, b"def", end=True)).messages())
    assert ("abcdef", "no", 1.0) == (message.request.body, message.response.body, message.duration_ms)


def test_a_request_that_the_server_does_not_want_to_its_end(pair):
    """A complete response and RST_STREAM with NO_ERROR: the exchange says that the request was cut."""
    talk = begun(pair) >> pair.client.headers(1, *asked("POST", "/")) + data(1, b"abc")
    message = only((talk << pair.server.answer(1, b"no") + reset(1, 0)).messages())
    assert "the request body was incomplete when the server reset the stream (NO_ERROR)" == message.error
    assert ("no", True) == (message.response.body, message.truncated)


def test_a_reset_before_the_response(pair):
    """An exchange whose stream the client gives up is shown, with the reason; what still comes for it is nobody's."""
    server = pair.server
    talk = begun(pair) >> pair.client.get(1, "/1") >> reset(1, 8) << server.answer(1, b"late")
    message, other = (talk >> pair.client.get(3, "/3") << server.answer(3, b"ok")).messages()
    assert (None, "no response before the client reset the stream (CANCEL)") == (
        message.response,
        message.error,
    )
    assert [(3, "/3", 200, "ok")] == shown([other])


def test_a_reset_within_the_response(pair):
    """What came of a body is shown, marked as cut."""
    response = pair.server.headers(1, OK) + data(1, b"half") + reset(1, 0x99)
    message = only((begun(pair) >> pair.client.get(1) << response).messages())
    assert ("half", True) == (message.response.body, message.truncated)
    assert "the response body was incomplete when the server reset the stream (error 0x99)" == message.error


def test_goaway(pair):
    """Requests beyond the last that the server looks at are refused by it; the others are answered."""
    client, server = pair.client, pair.server
    talk = begun(pair) >> client.get(1, "/1") + client.get(3, "/3") << goaway(1, 0) + server.answer(1, b"ok")
    refused, answered = talk.messages()
    assert ("/3", "no response before the server refused it (GOAWAY, NO_ERROR)") == (
        refused.request.url,
        refused.error,
    )
    assert [(1, "/1", 200, "ok")] == shown([answered])


def test_push(pair):
    """A promised request and its response are an exchange of their own, marked as pushed."""
    client, server = pair.client, pair.server
    promise = frame(5, END_HEADERS, 1, struct.pack(">I", 2) + server.block(*asked("GET", "/style")))
    response = promise + server.answer(1, b"page") + server.answer(2, b"css")
    page, pushed = (begun(pair) >> client.get(1, "/page") << response).messages()
    assert [(1, "/page", 200, "page"), (2, "/style", 200, "css")] == shown([page, pushed])
    assert (UNSET, True) == (page.pushed, pushed.pushed)


def test_connect(pair):
    """A tunnel has an authority and no path; its bytes are the bodies of both."""
    client, server = pair.client, pair.server
    ask = client.headers(1, (":method", "CONNECT"), (":authority", "b.example:443"))
    talk = (
        begun(pair) >> ask << server.headers(1, OK) >> data(1, b"up", end=True) << data(1, b"down", end=True)
    )
    message = only(talk.messages())
    assert ("CONNECT", "b.example:443", "b.example:443", "up", "down") == (
        message.request.method,
        message.request.url,
        message.request.authority,
        message.request.body,
        message.response.body,
    )
    assert message.request.partial is UNSET


def test_upgrade_from_http1(pair):
    """After a 101 to h2c stream 1 answers the request that asked for it; later streams are as ever."""
    ask = b"GET /up HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    talk = (
        dialogue()
        >> ask + b"HTTP2-Settings: AAMAAABk\r\n\r\n"
        << switch + pair.welcome + pair.server.answer(1, b"first")
        >> pair.hello + pair.client.get(3, "/3")
        << pair.server.answer(3, b"third")
    )
    messages = talk.messages()
    assert [(None, "/up", 101, ""), (1, "/up", 200, "first"), (3, "/3", 200, "third")] == shown(messages)
    assert ["HTTP/1.1", "HTTP/2", "HTTP/2"] == [message.protocol for message in messages]


def test_a_call_of_grpc(pair):
    """gRPC is named as such, its messages come before it, and its status from the trailers."""
    kind = ("content-type", "application/grpc+proto")
    trailers = pair.server.headers(1, ("grpc-status", "5"), ("grpc-message", "not%20here"), end=True)
    response = pair.server.headers(1, OK, kind) + data(1, b"\0\0\0\0\0") + trailers
    request = pair.client.post(1, "/a.B/C", b"\0\0\0\0\0", kind)
    asked, answered, message = (begun(pair) >> request << response).messages()
    assert [(each.url, each.direction, each.message) for each in (asked, answered)] == [
        ("/a.B/C", "write", {}),
        ("/a.B/C", "read", {}),
    ]
    assert ("gRPC", 5, "not here") == (
        message.protocol,
        message.response.grpc_status,
        message.response.grpc_message,
    )


def test_a_call_of_grpc_that_fails_at_once(pair):
    """Where the only header section ends the stream, the status is in it."""
    kind = ("content-type", "application/grpc")
    response = pair.server.headers(1, OK, kind, ("grpc-status", "12"), end=True)
    message = only((begun(pair) >> pair.client.post(1, "/a.B/C", b"", kind) << response).messages())
    assert (12, UNSET) == (message.response.grpc_status, message.response.grpc_message)


def test_a_coded_body_is_shown_decoded(pair):
    """The size is what was sent, the body is what was meant."""
    coded = gzip.compress(b"hello " * 100, mtime=0)
    talk = begun(pair) >> pair.client.get(1) << pair.server.answer(1, coded, ("content-encoding", "gzip"))
    response = only(talk.messages()).response
    assert ("hello " * 100, len(coded)) == (response.body, response.size)


def test_a_body_beyond_the_limit(pair):
    """The beginning is shown, all is counted and hashed."""
    body = b"0123456789" * 5
    talk = begun(pair, limits=Limits(max_body=12)) >> pair.client.get(1) << pair.server.answer(1, body)
    message = only(talk.messages())
    assert ("012345678901", 50, True) == (message.response.body, message.response.size, message.truncated)
    assert hashlib.sha256(body).hexdigest() == message.response.sha256


def test_a_table_that_changes_its_size(pair):
    """Header blocks are right after the encoder has shrunk, emptied and grown its table."""
    client, server = pair.client, pair.server
    talk = begun(pair)
    for stream, size in ((1, 4096), (3, 0), (5, 120), (7, 4096), (9, 60)):
        client.encoder.header_table_size = size
        for each in (stream * 100 + 1, stream * 100 + 3):
            talk = talk >> client.get(each, f"/{size}", ("a", "x" * 20), (f"b{stream}", "y" * 20))
            talk = talk << server.answer(each, b"ok")
    messages = talk.messages()
    assert [m.request.url for m in messages[::2]] == ["/4096", "/0", "/120", "/4096", "/60"]
    assert [m.request.headers for m in messages[1::2]] == [
        [("a", "x" * 20), (f"b{stream}", "y" * 20)] for stream in (1, 3, 5, 7, 9)
    ]


@pytest.mark.parametrize(("closed", "what"), [(True, "the connection closed"), (False, "the capture ended")])
def test_what_is_pending_at_the_end(pair, closed, what):
    """Waiting requests and half responses come out, with the reason; so do the bytes of half a frame."""
    client, server = pair.client, pair.server
    talk = begun(pair) >> client.get(1, "/1") + client.get(3, "/3") + client.get(5, "/5")[:11]
    talk = talk << server.headers(3, OK) + data(3, b"abcdef")[:12]
    first, third, raw = (talk.close() if closed else talk).messages()
    assert f"no response before {what}" == first.error
    assert ("abc", f"the response body was incomplete when {what}") == (third.response.body, third.error)
    assert isinstance(raw, RawData)
    assert (11, "write") == (raw.size, raw.direction)


# --- what is wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        frame(0, 0, 0, b"data of no stream"),
        frame(4, 0, 1, bytes(6)),
        frame(8, 0, 1, bytes(5)),
        frame(9, END_HEADERS, 1, b"\x82"),
        frame(0, PADDED, 1, b"\x04abc"),
        frame(1, PRIORITY | END_HEADERS, 1, b"abc"),
        frame(1, 0, 1, b"\x82") + frame(0, 0, 1, b"within a block"),
        frame(1, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
        frame(1, END_HEADERS, 1, b"\xe4"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=[
        "data",
        "settings",
        "window",
        "continuation",
        "padding",
        "priority",
        "block",
        "integer",
        "index",
        "text",
    ],
)
def test_what_breaks_the_protocol_is_raw_data(pair, wrong):
    """The exchange so far is shown, and then, byte for byte, all that follows in both directions."""
    talk = begun(pair) >> pair.client.get(1, "/1") + wrong << b"more"
    message, *raws = talk.messages()
    assert [(1, "/1", None, None)] == shown([message])
    assert "no response before the connection left this protocol" == message.error
    written = b"".join(raw_bytes(raw) for raw in raws if raw.direction == "write")
    assert wrong.endswith(written)
    assert "more" == raws[-1].data


def test_data_of_no_stream_that_is_known(pair):
    """Bytes that belong to no exchange are shown as raw data, where they are."""
    talk = begun(pair) << data(1, b"whose?") >> pair.client.get(3, "/3") << pair.server.answer(3, b"ok")
    raw, message = talk.messages()
    assert ("whose?", len(pair.welcome) + 9) == (raw.data, raw.offset)
    assert [(3, "/3", 200, "ok")] == shown([message])


# --- bounds ----------------------------------------------------------------------------------------


def test_more_streams_than_may_be_open(pair):
    """The oldest is shown without a response; its response comes without a request."""
    client, server = pair.client, pair.server
    talk = begun(pair, limits=Limits(max_streams=1)) >> client.get(1, "/1") + client.get(3, "/3")
    messages = (talk << server.answer(3, b"three") + server.answer(1, b"one")).messages()
    assert [(1, "/1", None, None), (3, "/3", 200, "three"), (1, None, 200, "one")] == shown(messages)
    assert "no response before 1 further streams" == messages[0].error


def test_a_header_block_that_never_ends(pair):
    """CONTINUATION frames beyond the limit end HTTP/2, and what was held is raw data."""
    request = frame(1, 0, 1, b"\x82" * 50) + frame(9, 0, 1, b"\x82" * 40) * 3
    raws = (begun(pair, limits=Limits(max_head=100)) >> request).messages()
    assert {RawData} == {type(raw) for raw in raws}
    assert request == b"".join(raw_bytes(raw) for raw in raws)


def test_a_header_block_of_empty_frames(pair):
    """Frames without any byte of it are not held without end either."""
    request = frame(1, 0, 1, b"\x82") + frame(9, 0, 1) * 40
    raws = (begun(pair, limits=Limits(max_head=100)) >> request).messages()
    assert request == b"".join(raw_bytes(raw) for raw in raws)
    assert len(raws) == 1


def test_a_small_block_that_means_many_fields(pair):
    """A header list beyond the limit is cut, and says so; the next exchange is untouched."""
    client, server = pair.client, pair.server
    seed = client.get(1, "/1", ("big", "x" * 900))
    bomb = frame(1, END_HEADERS | END_STREAM, 3, client.block(*asked("GET", "/3")) + b"\xbe" * 500)
    talk = begun(pair, limits=Limits(max_head=2000)) >> seed + bomb + client.get(5, "/5")
    first, cut, last = (talk << b"".join(server.answer(stream, b"ok") for stream in (1, 3, 5))).messages()
    assert len(first.request.headers) == len(cut.request.headers) == 1 or cut.error
    assert sum(len(name) + len(value) for name, value in cut.request.headers) < 2000
    assert "header fields are kept: they are too long" in cut.error
    assert (None, "/5") == (last.error, last.request.url)


# --- the middle of a stream ------------------------------------------------------------------------


def test_mid_stream_only_what_is_sure_is_shown(pair):
    """Fields in tables that were sent before are left out, the halves are partial; fields sent again are whole."""
    client, server = pair.client, pair.server
    client.get(1, "/1", ("user-agent", "x"), ("cookie", "secret"))
    server.answer(1, b"one", ("server", "s"))
    talk = dialogue(mid=True) >> client.get(3, "/3", ("user-agent", "x"), ("new", "n"), ("cookie", "secret"))
    talk = talk << server.answer(3, b"three", ("server", "s"), ("etag", "e"))
    talk = talk >> client.get(5, "/5", ("new", "n")) << server.answer(5, b"five", ("etag", "e"))
    third, fifth = talk.messages()
    assert [(3, "/3", 200, "three"), (5, "/5", 200, "five")] == shown([third, fifth])
    assert ([("new", "n")], True, None) == (
        third.request.headers,
        third.request.partial,
        third.request.authority,
    )
    assert ([("etag", "e")], True) == (third.response.headers, third.response.partial)
    assert ([("new", "n")], True) == (fifth.request.headers, fifth.request.partial)
    assert ([("etag", "e")], UNSET) == (fifth.response.headers, fifth.response.partial)


def test_mid_stream_in_a_body(pair):
    """What lies before the first frame is raw data, in both directions; then exchanges are found."""
    client, server = pair.client, pair.server
    update = frame(8, 0, 0, b"\0\0\1\0")
    talk = dialogue(mid=True)
    talk.connection.session = talk.connection.session._replace(alpn="h2")
    talk = talk << b"the tail of a body, " + b"and more" >> update
    talk = talk >> client.get(3, "/3") + update << server.answer(3, b"three")
    raw, message = talk.messages()
    assert ("the tail of a body, and more", [(3, "/3", 200, "three")]) == (raw.data, shown([message]))


def test_mid_stream_a_status_that_is_not_known(pair):
    """A status in a table that was sent before is 0, and the response partial."""
    client, server = pair.client, pair.server
    client.get(1)
    server.answer(1, b"", status=302)
    talk = dialogue(mid=True) >> client.get(3, "/3") << server.answer(3, b"three", ("etag", "e"), status=302)
    message = only(talk.messages())
    assert (0, True, "three") == (message.response.status, message.response.partial, message.response.body)


def test_a_gap_in_a_body(pair):
    """A hole within one DATA frame counts, nothing else shifts."""
    client, server = pair.client, pair.server
    response = server.headers(1, OK) + data(1, b"0123456789", end=True)
    talk = begun(pair) >> client.get(1, "/1") << response[:-7]
    talk = talk.gap(READ, 5) << response[-2:] >> client.get(3, "/3")
    _, first, third = (talk << server.answer(3, b"ok")).messages()
    assert ("01289", 10, UNSET) == (first.response.body, first.response.size, first.response.sha256)
    assert (True, "5 bytes of the response body were lost") == (first.truncated, first.error)
    assert [(3, "/3", 200, "ok")] == shown([third])
    assert third.response.partial is UNSET


def test_a_gap_over_frames(pair):
    """Bodies end at the hole; what comes after it is found, with the fields that are sure."""
    client, server = pair.client, pair.server
    lost = server.answer(1, b"", ("server", "s"))
    talk = begun(pair) >> client.get(1, "/1") + client.get(3, "/3") + client.get(5, "/5")
    talk = (talk << server.headers(3, OK) + data(3, b"abc")).gap(READ, len(lost))
    talk = talk << data(3, b"def", end=True) + server.answer(5, b"five", ("server", "s"))
    messages = talk.messages()
    assert [
        (3, "/3", 200, "abc"),
        "Lost",
        "RawData",
        (5, "/5", 200, "five"),
        (1, "/1", None, None),
    ] == shown(messages)
    assert "the response body was incomplete when bytes were lost" == messages[0].error
    assert ("def", True, []) == (messages[2].data, messages[3].response.partial, messages[3].response.headers)


def test_a_gap_at_the_beginning(pair):
    """Where the client's preface is lost, its requests are found all the same."""
    client, server = pair.client, pair.server
    talk = (dialogue() << pair.welcome).gap(WRITE, len(pair.hello)) >> client.get(1, "/1")
    messages = (talk << server.answer(1, b"ok")).messages()
    assert ["Lost", (1, "/1", 200, "ok")] == shown(messages)


def test_a_gap_in_a_header_block(pair):
    """What was held of it comes out where it was, before the hole."""
    talk = (begun(pair) >> pair.client.get(1)[:12]).gap(WRITE, 20) >> pair.client.get(3, "/3")
    raw, lost, message = (talk << pair.server.answer(3, b"ok")).messages()
    assert (12, len(pair.hello)) == (raw.size, raw.offset)
    assert lost.offset == raw.offset + raw.size
    assert [(3, "/3", 200, "ok")] == shown([message])
