"""Text for people: what each message looks like, and what captured bytes cannot do to a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import Message, Request
from pellucid.sink.text import TextSink

from .messages import answer, connection, exchanges, http, lost, messages, raw, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Http

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


def test_binary_bodies_are_summarised(render: Render) -> None:
    """A body that is not text is one line: its size, its media type, and how to see it."""
    image = http(response=answer(b"\xff" * 1234, [("content-TYPE", "image/png")]))
    assert "\n[1234 bytes of image/png (--hex shows them)]\n" in render(TextSink, image)
    assert "\n[1 byte of binary data (--hex shows it)]\n" in render(TextSink, http(response=answer(b"\xff")))


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
    """The end is two lines: what was captured, and that nothing was lost or what was."""
    captured = (
        "02:57:42.123 captured 10 HTTP exchanges, 2 data messages in 34.6 s: 7345 bytes from 3 targets\n"
    )
    expected = f"{captured}02:57:42.123 nothing lost\n"
    assert expected == render(TextSink, summary())
    expected = f"{captured}02:57:42.123 LOST 4096 bytes (ring_full), 3 calls (untracked_calls)\n"
    assert expected == render(TextSink, summary(lost={"ring_full": 4096, "untracked_calls": 3}))
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


def test_truncate_keeps_characters_whole(render: Render) -> None:
    """A cut inside a character of UTF-8 moves to its beginning, and the count is still exact."""
    assert "\n  \xe9\n[... 4 more bytes]\n" in render(TextSink, raw("\xe9\u20acx"), truncate=4)
    assert "offset 0\n[... 3 more bytes]\n" in render(TextSink, raw("\u20ac"), truncate=2)


def test_colors(render: Render) -> None:
    """With colours on, times, programs, marks, names and losses stand out, and each line ends plain."""
    shown = render(TextSink, http(response=answer("", status=503, reason="")), lost(), color=True)
    expected = (
        "\x1b[2m02:57:42.123\x1b[0m \x1b[1mcurl[4711]\x1b[0m client 10.0.0.2:51234 -> 93.184.216.34:443 "
        "libssl.so.3 conn 7 HTTP/1.1 12.3 ms\n"
        "\x1b[1;36m>\x1b[0m \x1b[1;36mGET /a HTTP/1.1\x1b[0m\n"
        "\x1b[1;36m>\x1b[0m \x1b[36mHost\x1b[0m: e.com\n"
        "\x1b[1;31m<\x1b[0m \x1b[1;31mHTTP/1.1 503\x1b[0m\n"
        "\x1b[1;31m<\x1b[0m \x1b[36mServer\x1b[0m: x\n"
        "\n"
        "\x1b[2m02:57:42.123\x1b[0m "
        "\x1b[1;31mLOST 4096 bytes on conn 7 read at offset 100: ring_full\x1b[0m\n"
    )
    assert expected == shown


@pytest.mark.parametrize(("status", "code"), [(101, "1;32"), (302, "1;32"), (404, "33"), (500, "1;31")])
def test_the_status_decides_the_color(render: Render, status: int, code: str) -> None:
    """Success is green, the client's fault yellow, the server's red."""
    shown = render(TextSink, http(response=answer("", status=status)), color=True)
    assert f"\x1b[{code}mHTTP/1.1 {status} OK\x1b[0m\n" in shown


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


SGR = re.compile(r"\x1b\[(0|1|2|33|36|1;31|1;32|1;36)m")


@given(message=messages, hex_=st.booleans(), truncate=st.integers(0, 9), color=st.booleans())
def test_any_message_is_harmless(
    render: Render, message: Message, hex_: bool, truncate: int, color: bool
) -> None:
    """Whatever was captured, nothing but line ends, tabs and our own colours can control a terminal."""
    shown = render(TextSink, message, hex=hex_, truncate=truncate, color=color, verbose=True)
    if color:
        shown = SGR.sub("", shown)
    categories = {unicodedata.category(character) for character in set(shown) - set("\n\t")}
    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(shown) & set("\u202d\u202e\u2066\u2067")


@given(message=exchanges, hex_=st.booleans())
def test_an_exchange_is_one_paragraph(render: Render, message: Http, hex_: bool) -> None:
    """An exchange ends with its only empty line, and only indented lines come from a body."""
    lines = render(TextSink, message, hex=hex_).split("\n")
    assert len(lines) - 2 == lines.index("")
    assert all(line.startswith((">", "<", "[", "  ")) for line in lines[1:-2])
