"""Text for people: what each message looks like, and what captured bytes cannot do to a terminal."""

from __future__ import annotations

import re
import tracemalloc
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import (
    Grpc,
    Message,
    Query,
    QueryError,
    Request,
    ServerSentEvent,
    WebSocket,
)
from pellucid.sink.text import TextSink

from .messages import (
    WHO,
    answer,
    connection,
    exchanges,
    http,
    insides,
    lost,
    messages,
    queries,
    raw,
    raws,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Render = Callable[..., str]

HEADING = "02:57:42.123 curl[4711] client 10.0.0.2:51234 -> 93.184.216.34:443 libssl.so.3 conn 7"


# --- what each message looks like ------------------------------------------------------------------


def test_an_exchange(render: Render) -> None:
    """Heads are marked `>` and `<`, bodies are indented after a bare mark, an empty line ends it."""
    request = Request(
        method="POST", url="/v1?q=1", authority="e.com", headers=[("Host", "e.com")], body='{"a":\n\n1}\n'
    )
    expected = (
        f"{HEADING} HTTP/1.1 12.3 ms\n"
        "> POST /v1?q=1 HTTP/1.1\n"
        "> Host: e.com\n"
        ">\n"
        '  {"a":\n'
        "  \n"
        "  1}\n"
        "< HTTP/1.1 200 OK\n"
        "< Server: x\n"
        "<\n"
        "  hello\n"
        "\n"
    )
    assert expected == render(TextSink, http(request=request))


def test_an_exchange_of_http2(render: Render) -> None:
    """The stream is told, the authority stands for the absent Host, trailers follow a bare mark."""
    request = Request(method="GET", url="/", authority="e.com", headers=[("accept", "*/*")])
    response = answer("", reason="", trailers=[("grpc-status", "0")])
    expected = (
        f"{HEADING} HTTP/2 stream 3 12.3 ms\n"
        "> GET / HTTP/2\n"
        "> :authority: e.com\n"
        "> accept: */*\n"
        "< HTTP/2 200\n"
        "< Server: x\n"
        "<\n"
        "< grpc-status: 0\n"
        "\n"
    )
    assert expected == render(TextSink, http(protocol="HTTP/2", stream=3, request=request, response=response))


def test_what_is_unknown_is_a_question_mark(render: Render) -> None:
    """Unknown addresses and role are `?`, and a missing half is said to be missing."""
    message = http(src=None, dst=None, role=None, request=None, response=None, duration_ms=None)
    expected = (
        "02:57:42.123 curl[4711] ? ? -> ? libssl.so.3 conn 7 HTTP/1.1\n"
        "[no request seen]\n"
        "[no response seen]\n"
        "\n"
    )
    assert expected == render(TextSink, message)


def test_what_went_wrong_is_said(render: Render) -> None:
    """A cut body, its true size and digest, and an error are lines of their own."""
    message = http(
        request=None,
        response=answer("he", size=5, sha256="ab12"),
        truncated=True,
        error="connection closed",
    )
    expected = (
        f"{HEADING} HTTP/1.1 12.3 ms\n"
        "[no request seen]\n"
        "< HTTP/1.1 200 OK\n"
        "< Server: x\n"
        "<\n"
        "  he\n"
        "[5 bytes sent, SHA-256 ab12]\n"
        "[truncated: a body is longer than what was kept]\n"
        "[error: connection closed]\n"
        "\n"
    )
    assert expected == render(TextSink, message)


def test_what_is_missing_is_said_once(render: Render) -> None:
    """Where the error says that a body did not come to its end, it is not said to be longer than what was kept."""
    error = "the response body was incomplete when the connection closed"
    shown = render(TextSink, http(truncated=True, error=error))
    assert f"[error: {error}]" in shown
    assert "truncated" not in shown


def test_binary_bodies_are_summarised(render: Render) -> None:
    """A body that is not text is one line: its size, its media type, and how to see it."""
    image = http(response=answer(b"\xff" * 1234, [("content-TYPE", "image/png")]))
    assert "\n[1234 bytes of image/png (--hex shows them)]\n" in render(TextSink, image)
    assert "\n[1 byte of binary data (--hex shows it)]\n" in render(TextSink, http(response=answer(b"\xff")))


def test_images_are_summarised(render: Render) -> None:
    """An image is its format and size in pixels, as its own header says, whatever its media type."""
    png = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452 00000280 000001e0") + b"\xff"
    shown = render(TextSink, http(response=answer(png, [("Content-Type", "text/plain")])))
    assert "\n[PNG image, 640 x 480 pixels, 25 bytes (--hex shows them)]\n" in shown


def test_binary_pieces_are_one_line(render: Render) -> None:
    """Binary pieces that follow each other in one direction are one line with their sum; nothing of it waits for long."""
    shown = render(
        TextSink, raw(b"\xff" * 10), raw(b"\xfe" * 5, offset=10), raw(b"\xfd", direction="read"), raw("a")
    )
    expected = (
        f"{HEADING} write 15 bytes of binary data in 2 pieces at offset 0\n"
        f"{HEADING} read 1 byte of binary data at offset 0\n"
        f"{HEADING} write 1 byte at offset 0\n  a\n\n"
    )
    assert expected == shown


def test_websocket(render: Render) -> None:
    """A text message is a heading and its payload, a control frame and binary data a line."""
    where = {**WHO, "url": "/live", "direction": "read"}
    shown = render(
        TextSink,
        WebSocket(**where, opcode="text", data="hi\nyou", size=6),
        WebSocket(**where, opcode="binary", data=b"\xff", encoding="base64", size=1),
        WebSocket(**where, opcode="ping"),
        WebSocket(**where, opcode="close", code=1000, stream=3),
        WebSocket(**where, opcode="text", data="cut", size=9, sha256="ab12", truncated=True, error="a hole"),
    )
    expected = (
        f"{HEADING} WebSocket read text 6 bytes on /live\n  hi\n  you\n\n"
        f"{HEADING} WebSocket read binary 1 byte on /live\n"
        f"{HEADING} WebSocket read ping 0 bytes on /live\n"
        f"{HEADING} WebSocket read close 1000 stream 3 on /live\n"
        f"{HEADING} WebSocket read text 9 bytes on /live\n  cut\n[9 bytes in all, SHA-256 ab12]\n"
        "[truncated: the message is longer than what was kept]\n[error: a hole]\n\n"
    )
    assert expected == shown


def test_server_sent_events(render: Render) -> None:
    """An event is its type, its id and its data."""
    event = ServerSentEvent(**WHO, url="/s", direction="read", event="tick", id="7", data="1\n2", size=3)
    assert f"{HEADING} event read tick id 7 3 bytes on /s\n  1\n  2\n\n" == render(TextSink, event)


def test_grpc(render: Render) -> None:
    """A message is its fields as JSON on one line, else its bytes; a call ends with the name of its status."""
    where = {**WHO, "url": "/a.B/C", "direction": "write", "stream": 1}
    known = Grpc(
        **where, number=0, message={"name": "tea"}, schema="a.D", data="\n\x03tea", size=5, compression="gzip"
    )
    expected = f'{HEADING} gRPC write message 0 a.D 5 bytes gzip stream 1 on /a.B/C\n  {{"name":"tea"}}\n\n'
    assert expected == render(TextSink, known)
    assert "  00000000  0a 03 74 65 61" in render(TextSink, known, hex=True)
    unknown = Grpc(**where, number=1, data=b"\xff\xff", encoding="base64", size=2)
    assert "\n[2 bytes of binary data (--hex shows them)]\n\n" in render(TextSink, unknown)
    refused = http(protocol="gRPC", response=answer("", grpc_status=5, grpc_message="no tea"))
    assert "\n[gRPC status 5, NOT_FOUND: no tea]\n\n" in render(TextSink, refused)


def query(**changes: Any) -> Query:
    """Return a query."""
    fields = {"server": "mysql", "user": "me", "database": None, "kind": "query", "query": "SELECT 1,\n 2"}
    return Query(**{**WHO, **fields, "rows": 1, "duration_ms": 0.5, **changes})


def test_queries(render: Render) -> None:
    """A query is who asked where, rows and time, its text and parameters, and the server's refusal."""
    expected = f"{HEADING} mysql query me@? 1 row 0.5 ms\n  SELECT 1,\n   2\n\n"
    assert expected == render(TextSink, query())
    failed = query(
        parameters=["a\n", 7, None], failure=QueryError(code="1146", message="no table"), rows=None
    )
    assert '\n[parameters: "a\\n", 7, null]\n[refused: 1146 no table]\n\n' in render(TextSink, failed)


def test_what_is_partial_or_pushed(render: Render) -> None:
    """Missing header fields, and a request that nobody sent, are said."""
    shown = render(TextSink, http(response=answer("", partial=True), pushed=True, protocol="HTTP/2"))
    assert " HTTP/2 pushed 12.3 ms\n" in shown
    assert "\n[header fields are missing: they were sent before the capture began]\n" in shown


def test_raw_data(render: Render) -> None:
    """Raw data is its direction, size and place in the stream, then the data."""
    expected = f"{HEADING} write 14 bytes at offset 160\n  EHLO a\n  QUIT\n\n"
    assert expected == render(TextSink, raw("EHLO a\r\nQUIT\r\n", offset=160))


def test_lost(render: Render) -> None:
    """A hole is one line that says how much is missing, where and why."""
    expected = "02:57:42.123 LOST 4096 bytes on conn 7 read at offset 100: ring_full\n"
    assert expected == render(TextSink, lost())
    unknown = lost(conn=None, direction=None, offset=None, size=1, reason="untracked_calls")
    expected = "02:57:42.123 LOST 1 call on an unknown connection: untracked_calls\n"
    assert expected == render(TextSink, unknown)
    missed = lost(conn=None, direction=None, offset=None, reason="place_full", messages=12)
    assert render(TextSink, missed) == "02:57:42.123 LOST 12 messages of 4096 bytes: place_full\n"


def test_connections_are_shown_on_demand(render: Render) -> None:
    """A connection is one line if asked for, and nothing otherwise."""
    older, closed = connection(started="mid"), connection(started="mid", event="closed")
    expected = f"{HEADING} opened\n{HEADING} opened before the capture\n{HEADING} closed\n"
    assert expected == render(TextSink, connection(), older, closed, verbose=True)
    assert render(TextSink, connection(), older, closed) == ""


def test_summary(render: Render) -> None:
    """The end is two lines: what was captured, and that nothing was lost or what was, each in its unit."""
    captured = (
        "02:57:42.123 captured 10 HTTP exchanges, 2 data messages in 34.6 s: 7345 bytes from 3 targets\n"
    )
    expected = f"{captured}02:57:42.123 nothing lost\n"
    assert expected == render(TextSink, summary())
    expected = f"{captured}02:57:42.123 LOST 4096 bytes (ring_full), 3 calls (untracked_calls)\n"
    assert expected == render(TextSink, summary(lost={"ring_full": 4096, "untracked_calls": 3}))
    shells = render(TextSink, summary(lost={"ring_full_records": 2, "unended_commands": 1}))
    assert shells.endswith("LOST 2 records (ring_full_records), 1 command (unended_commands)\n")
    assert "\n02:57:42.123 LOST 2 forks (unfollowed_forks)\n" in render(
        TextSink, summary(lost={"unfollowed_forks": 2})
    )


def test_undecided_connections(render: Render) -> None:
    """Where connections were selected, the end says of how many it was not known whether they are wanted."""
    assert "undecided" not in render(TextSink, summary(undecided=0))
    shown = render(TextSink, summary(lost={"undecided": 7}, undecided=1))
    assert shown.endswith(
        "LOST 7 bytes (undecided)\n02:57:42.123 undecided: 1 connection whose address was not known in time\n"
    )


def test_older_connections(render: Render) -> None:
    """The end of a key log says of how many older connections it has the secrets, and why not of the others."""
    shown = render(TextSink, summary(older={"read": 3, "unproven": 1, "unread": 2}))
    expected = "secrets of 3 read, 1 not found in memory, up to 2 idle or without TLS\n"
    assert shown.endswith(f"nothing lost\n02:57:42.123 older connections: {expected}")
    assert "older" not in render(TextSink, summary(older={"unread": 0}))


def test_packets_of_nobody(render: Render) -> None:
    """The end of a capture of packets of some processes says how many packets nobody is known to own, and why."""
    shown = render(TextSink, summary(left_out={"unowned": 3, "without_first": 1}))
    expected = "3 packets without a socket here, 1 fragment behind no first one of its datagram\n"
    assert shown.endswith(f"02:57:42.123 left out, of nobody who is known: {expected}")
    assert "left out" not in render(TextSink, summary(left_out={"unowned": 0, "without_first": 0}))


def test_summary_without_messages(render: Render) -> None:
    """A recording has the bytes that were kept, not those that were lost; else nothing was captured."""
    only_kept = summary(captured={}, targets=1)
    expected = "02:57:42.123 captured 7345 bytes in 34.6 s from 1 target\n02:57:42.123 nothing lost\n"
    assert expected == render(TextSink, only_kept)
    partly = summary(captured={"lost": 1}, lost={"ring_full": 45, "untracked_calls": 9000})
    assert "captured 7300 bytes in 34.6 s from 3 targets\n" in render(TextSink, partly)
    all_lost = summary(captured={"lost": 1, "connection": 2}, lost={"ring_full": 7345})
    assert "captured nothing in 34.6 s: 7345 bytes from 3 targets\n" in render(TextSink, all_lost)
    idle = summary(captured={}, bytes=0)
    assert "captured nothing in 34.6 s: 0 bytes from 3 targets\n" in render(TextSink, idle)


def test_summary_of_a_stream_that_broke_off(render: Render) -> None:
    """The last line warns that there was more; a whole stream has no such line."""
    warning = "INCOMPLETE: the stream ends here, what follows was not recorded"
    assert render(TextSink, summary(complete=False)).endswith(f" nothing lost\n02:57:42.123 {warning}\n")
    assert f"\x1b[1;31m{warning}\x1b[0m\n" in render(TextSink, summary(complete=False), color=True)
    assert "INCOMPLETE" not in render(TextSink, summary())


class Shell(Message, kw_only=True):
    """A message that only a plug-in knows."""

    line: str


def test_messages_of_plug_ins(render: Render) -> None:
    """A message that the sink does not know is shown as its JSON, on one harmless line."""
    message = Shell(ts="2026-11-22T02:57:42.123456Z", line="ls\n\x9b\u202e")
    expected = (
        '02:57:42.123 {"type":"shell","ts":"2026-11-22T02:57:42.123456Z","line":"ls\\n\\u009b\\u202e"}\n'
    )
    assert expected == render(TextSink, message)


# --- options ---------------------------------------------------------------------------------------


def test_hex(render: Render) -> None:
    """Every payload, text too, is dumped; raw data by its offset in the stream."""
    expected = (
        f"{HEADING} write 17 bytes at offset 32\n"
        "  00000020  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n"
        "  00000030  c3 a9                                             |..|\n"
        "\n"
    )
    assert expected == render(TextSink, raw("GET / HTTP/1.1\r\n\xe9", offset=32), hex=True)
    assert ("<\n  00000000  ff 00                                             |..|\n\n") in render(
        TextSink, http(response=answer(b"\xff\x00")), hex=True
    )


def test_truncate(render: Render) -> None:
    """Each payload is cut to N bytes, and how many more there are is said."""
    request = Request(method="PUT", url="/", authority=None, headers=[], body="abcde")
    shown = render(TextSink, http(request=request, response=answer("x" * 1028)), truncate=4)
    assert ">\n  abcd\n[... 1 more byte]\n" in shown
    assert "<\n  xxxx\n[... 1024 more bytes]\n" in shown
    assert "more byte" not in render(TextSink, raw("abcd"), truncate=4)
    assert (
        "  00000000  ff                                                |.|\n[... 2 more bytes]\n"
        in render(TextSink, raw(b"\xff\xfe\xfd"), truncate=1, hex=True)
    )


def test_truncate_keeps_line_ends_whole(render: Render) -> None:
    """A cut between CR and LF shows neither."""
    assert "\n  ab\n[... 3 more bytes]\n" in render(TextSink, raw("ab\r\nc"), truncate=3)


def test_truncate_keeps_characters_whole(render: Render) -> None:
    """A cut inside a character of UTF-8 moves to its beginning, and the count is still exact."""
    assert "\n  \xe9\n[... 4 more bytes]\n" in render(TextSink, raw("\xe9\u20acx"), truncate=4)
    assert "offset 0\n[... 3 more bytes]\n" in render(TextSink, raw("\u20ac"), truncate=2)


def test_colors(render: Render) -> None:
    """With colours on, times, programs, marks, names and losses stand out, and each line ends plain."""
    shown = render(TextSink, http(response=answer("", status=503, reason="")), lost(), color=True)
    expected = (
        "\x1b[2m02:57:42.123\x1b[0m \x1b[1mcurl[4711]\x1b[0m \x1b[2mclient 10.0.0.2:51234 -> 93.184.216.34:443 "
        "libssl.so.3 conn 7\x1b[0m HTTP/1.1 12.3 ms\n"
        "\x1b[1;36m>\x1b[0m \x1b[1;36mGET /a HTTP/1.1\x1b[0m\n"
        "\x1b[1;36m>\x1b[0m \x1b[36mHost\x1b[0m: e.com\n"
        "\x1b[1;31m<\x1b[0m \x1b[1;31mHTTP/1.1 503\x1b[0m\n"
        "\x1b[1;31m<\x1b[0m \x1b[36mServer\x1b[0m: x\n"
        "\n"
        "\x1b[2m02:57:42.123\x1b[0m "
        "\x1b[1;31mLOST 4096 bytes on conn 7 read at offset 100: ring_full\x1b[0m\n"
    )
    assert expected == shown


@pytest.mark.parametrize(("status", "code"), [(101, "1;32"), (302, "1;32"), (404, "1;33"), (500, "1;31")])
def test_the_status_decides_the_color(render: Render, status: int, code: str) -> None:
    """Success is green, the client's fault yellow, the server's red."""
    shown = render(TextSink, http(response=answer("", status=status)), color=True)
    assert f"\x1b[{code}mHTTP/1.1 {status} OK\x1b[0m\n" in shown


# --- on a terminal ---------------------------------------------------------------------------------


def on_terminal(render: Render, body: str, media: str, **options: Any) -> str:
    """Return how the body of an answer looks there."""
    message = http(request=None, response=answer(body, [("Content-Type", media)]))
    return render(TextSink, message, terminal=True, **options).partition("<\n")[2].removesuffix("\n")


def test_json_is_laid_out(render: Render) -> None:
    """JSON has a line for each member; numbers and escapes stay as they were sent."""
    text = '{"a":1.50,"b":[true,{"c":"\\u00e9"}],"d":[],"e":{}}'
    expected = '  {\n    "a": 1.50,\n    "b": [\n      true,\n      {"c": "\\u00e9"}\n    ],\n    "d": [],\n    "e": {}\n  }\n'
    assert on_terminal(render, text, "application/json") == expected
    assert on_terminal(render, text, "text/plain") == expected
    assert on_terminal(render, "[not json", "text/plain") == "  [not json\n"
    assert on_terminal(render, '{"a":1}\n{"a":2}', "application/x+json") == '  {"a": 1}\n  {"a": 2}\n'


def test_json_that_was_cut_is_laid_out(render: Render) -> None:
    """Of JSON that was cut everything is shown that is there."""
    assert (
        on_terminal(render, '{"a":[{"b":"c', "application/json")
        == '  {\n    "a": [\n      {\n        "b": "c\n'
    )


@pytest.mark.parametrize(
    "text", ["[" * 21, "[" * (1 << 20), "[" + "0," * (33 << 10) + "0]"], ids=["deep", "deepest", "long"]
)
def test_json_that_nobody_could_read_is_shown_as_sent(render: Render, text: str) -> None:
    """What is nested too deeply or too long is not laid out: no more is written than came, and little memory taken."""
    tracemalloc.start()
    shown = on_terminal(render, text, "application/json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shown == f"  {text}\n"
    assert peak < 16 * len(text) + 100_000


def test_json_that_is_laid_out_is_bounded(render: Render) -> None:
    """At the limits themselves JSON is laid out, in a small multiple of its size."""
    text = f"{'[' * 19}{'[],' * 20_000}[]{']' * 19}"
    shown = on_terminal(render, text, "application/json")
    assert shown.startswith("  [\n    [\n      [\n")
    assert len(shown) < 20 * len(text)


def test_the_heading_on_a_terminal(render: Render) -> None:
    """What a message is comes before its addresses, which a narrow window puts on the next line."""
    line = "02:57:42.123 curl[4711] write 1 byte at offset 0 client 10.0.0.2:51234 -> 93.184.216.34:443 libssl.so.3 conn 7"
    assert render(TextSink, raw("a"), terminal=True).startswith(f"{line}\n")


def test_json_elsewhere_stays(render: Render) -> None:
    """In a file or a pipe JSON stays on its line, where grep finds it whole."""
    message = http(response=answer('{"a":1,"b":2}', [("Content-Type", "application/json")]))
    assert '\n  {"a":1,"b":2}\n' in render(TextSink, message)


def test_json_is_colored(render: Render) -> None:
    """Keys, strings and other values differ."""
    message = http(response=answer('{"a":"b","c":1}', [("Content-Type", "application/json")]))
    shown = render(TextSink, message, terminal=True, color=True)
    for piece in ('\x1b[36m"a"\x1b[0m', '\x1b[32m"b"\x1b[0m', "\x1b[33m1\x1b[0m"):
        assert piece in shown


def test_forms_are_tables(render: Render) -> None:
    """A form is a table of decoded names and values, and a long value goes on within the width."""
    shown = on_terminal(
        render, "user=a%40b&remember=&x=" + "y" * 50, "application/x-www-form-urlencoded", width=40
    )
    expected = f"  user      a@b\n  remember  \n  x         {'y' * 28}\n            {'y' * 22}\n"
    assert shown == expected


MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="title"\r\n\r\nmy\ncat\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="c.bin"\r\nContent-Type: a/b\r\n\r\n\xff\r\n--B--\r\n'
)


@pytest.mark.parametrize("terminal", [False, True])
def test_parts_are_listed(render: Render, terminal: bool) -> None:
    """Each part of a multipart body is named with its type and size; text is shown below, also beside binary parts."""
    message = http(response=answer(MULTIPART, [("Content-Type", "multipart/form-data; boundary=B")]))
    shown = render(TextSink, message, terminal=terminal)
    expected = '<\n[part 1 "title": 6 bytes of text/plain]\n  my\n  cat\n[part 2 "f", file "c.bin": 1 byte of a/b]\n\n'
    assert shown.endswith(expected)


# --- views -----------------------------------------------------------------------------------------


def test_quiet(render: Render) -> None:
    """One line a message: when, who, and for an exchange method, URL, status, size and time."""
    line = "02:57:42.123 curl[4711]"
    cut = http(request=None, response=None, duration_ms=None, error="no response")
    shown = render(TextSink, http(), cut, query(), raw("abc"), lost(), connection(), summary(), view="quiet")
    expected = (
        f"{line} GET https://e.com/a 200 5B 12.3ms\n"
        f"{line} - - - - - [error: no response]\n"
        f"{line} SQL me@? SELECT 1, 2 1 row 0.5 ms\n"
        f"{line} DATA write 0 93.184.216.34:443 3B\n"
        "02:57:42.123 LOST 4096 bytes on conn 7 read at offset 100: ring_full\n"
    )
    assert shown.startswith(expected)
    assert shown.count("\n") == 7, "a connection is shown only if it is asked for, the summary always"


@given(message=exchanges | insides | queries | raws)
def test_quiet_is_one_line(render: Render, message: Message) -> None:
    """Whatever was captured, a message is one line."""
    shown = render(TextSink, message, view="quiet")
    assert (shown.count("\n"), shown[-1]) == (1, "\n")


def test_headers(render: Render) -> None:
    """Of bodies only what they are is said, of raw data only the heading's facts."""
    shown = render(
        TextSink, http(response=answer("hello", [("Content-Type", "text/x; a=b")])), view="headers"
    )
    assert shown.endswith("< Content-Type: text/x; a=b\n<\n[5 bytes of text/x; a=b]\n\n")


def test_body(render: Render) -> None:
    """Payloads stand alone and as they were sent; the end is silent, unless something is missing."""
    request = Request(method="POST", url="/", authority=None, headers=[], body=" a\n\n b")
    shown = render(
        TextSink, http(request=request), raw("x\n"), connection(), summary(), view="body", verbose=True
    )
    assert shown == " a\n\n b\nhello\nx\n"
    assert "LOST 4096 bytes" in render(TextSink, lost(), view="body")
    assert "LOST 1 byte" in render(TextSink, summary(lost={"ring_full": 1}), view="body")


# --- what captured bytes cannot do -----------------------------------------------------------------


def test_captured_escape_sequences_are_shown_not_sent(render: Render) -> None:
    """Escape sequences in a name, URL, header, body or reason are visible text."""
    evil = "\x1b]0;owned\x07\x9b2J"
    request = Request(method="GET", url=evil, authority=evil, headers=[(evil, evil)])
    response = answer(evil, [("Content-Type", evil)], reason=evil)
    shown = render(TextSink, http(comm=evil, request=request, response=response, error=evil))
    assert shown.count(r"\x1b]0;owned\x07\x9b2J") == 9
    assert not set(shown) & set("\x1b\x07\x9b")


def test_a_name_cannot_forge_a_line(render: Render) -> None:
    """A line end or tab in a name or header stays within its line."""
    request = Request(method="GET", url="/", authority=None, headers=[("a\r\n", "b\n< HTTP/1.1 200\t")])
    shown = render(TextSink, http(comm="x\n00:00:00.000", request=request, response=None))
    assert shown.startswith("02:57:42.123 x\\n00:00:00.000[4711] client")
    assert "\n> a\\r\\n: b\\n< HTTP/1.1 200\\t\n[no response seen]\n" in shown


SGR = re.compile(r"\x1b\[(0|1|2|32|33|36|1;31|1;32|1;33|1;36)m")


@given(
    message=messages,
    hex_=st.booleans(),
    truncate=st.integers(0, 9),
    color=st.booleans(),
    view=st.sampled_from(["all", "headers", "body", "quiet"]),
    terminal=st.booleans(),
)
def test_any_message_is_harmless(render: Render, message: Message, color: bool, **options: Any) -> None:
    """Whatever was captured, nothing but line ends, tabs and our own colours can control a terminal."""
    options["hex"] = options.pop("hex_")
    shown = render(TextSink, message, color=color, verbose=True, **options)
    if color:
        shown = SGR.sub("", shown)
    categories = {unicodedata.category(character) for character in set(shown) - set("\n\t")}
    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(shown) & set("\u202d\u202e\u2066\u2067")


@given(message=exchanges | insides | queries, hex_=st.booleans(), terminal=st.booleans())
def test_a_message_is_one_paragraph(render: Render, message: Message, hex_: bool, terminal: bool) -> None:
    """A message ends with its only empty line, if it is more than one; only indented lines come from a payload."""
    lines = render(TextSink, message, hex=hex_, terminal=terminal).split("\n")
    assert len(lines) == 2 or len(lines) - 2 == lines.index("")
    assert all(line.startswith((">", "<", "[", "  ")) for line in lines[1:-2])
