"""JSON lines: whole, exact, and readable by any parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from pellucid.sink.json import JsonSink

from .messages import (
    TS,
    answer,
    connection,
    exchanges,
    http,
    lost,
    messages,
    parsed_bytes,
    raw,
    raws,
    shown_bytes,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Http, Message, RawData

    Render = Callable[..., str]


def refuse(constant: str) -> None:
    """Make json.loads as strict as RFC 8259: it would take NaN and Infinity."""
    raise ValueError(constant)


def parsed(render: Render, message: Message) -> dict[str, Any]:
    """Write one message and parse the one line that comes out."""
    line = render(JsonSink, message)
    assert len(line) - 1 == line.index("\n")
    parsed = json.loads(line, parse_constant=refuse)
    assert isinstance(parsed, dict)
    return parsed


def test_an_exchange(render: Render) -> None:
    """The fields stand in the order of the model, headers are pairs, and what is unset is absent."""
    expected = (
        '{"type":"http","ts":"2026-11-22T02:57:42.123456Z","pid":4711,"tid":4712,"uid":1000,"comm":"curl","executable":"/usr/bin/curl","container":null,'
        '"library":"libssl.so.3","conn":7,"src":"10.0.0.2:51234","dst":"93.184.216.34:443","role":"client",'
        '"protocol":"HTTP/1.1","stream":null,'
        '"request":{"method":"GET","url":"/a","authority":"e.com","headers":[["Host","e.com"]],'
        '"body":"","size":0},'
        '"response":{"status":200,"reason":"OK","headers":[["Server","x"]],"body":"hello","size":5},'
        '"duration_ms":12.345,"request_ms":null,"response_ms":null,"truncated":false,"error":null}\n'
    )
    assert expected == render(JsonSink, http())


@pytest.mark.parametrize(
    ("message", "tag"),
    [
        (http(), "http"),
        (raw("x"), "data"),
        (connection(), "connection"),
        (lost(), "lost"),
        (summary(), "summary"),
    ],
)
def test_every_message_says_its_type_first(render: Render, message: Message, tag: str) -> None:
    """The first field of each line is `type`, the second `ts`."""
    assert [("type", tag), ("ts", TS)] == list(parsed(render, message).items())[:2]


def test_bytes_become_base64(render: Render) -> None:
    """A body that is not UTF-8 is base64, and says so next to it."""
    response = parsed(render, http(response=answer(b"\xff\x00a")))["response"]
    assert (response["body"], response["encoding"]) == ("/wBh", "base64")


def test_one_line_a_message(render: Render) -> None:
    """Each message is one line, in the order written."""
    lines = render(JsonSink, raw("a\nb\r\n\u2028"), lost()).split("\n")
    assert [json.loads(line)["type"] for line in lines[:-1]] == ["data", "lost"]


def test_numbers_that_json_has_not(render: Render) -> None:
    """A float that is no number becomes null, which every parser takes."""
    assert parsed(render, http(duration_ms=float("nan")))["duration_ms"] is None


@pytest.mark.parametrize(
    ("text", "written"),
    [("\x7f", "\\u007f"), ("\x9b31m", "\\u009b31m"), ("\xa0\xa3\xc2", "\xa0\xa3\xc2")],
)
def test_controls_that_json_would_let_through(render: Render, text: str, written: str) -> None:
    """DEL and C1 controls are escaped, and nothing else: a line shown in a terminal cannot drive it."""
    line = render(JsonSink, raw(text))
    assert f'"data":"{written}"' in line
    assert text == json.loads(line)["data"]


def test_text_that_is_no_unicode(render: Render) -> None:
    """A lone surrogate becomes U+FFFD, and the rest of the line stays as it would have been."""
    assert render(JsonSink, lost(reason="\ufffd")) == render(JsonSink, lost(reason="\udcff"))


@given(message=messages)
def test_any_message_is_one_printable_line(render: Render, message: Message) -> None:
    """Whatever was captured, the output is one line of strict JSON without control characters."""
    line = render(JsonSink, message)
    assert json.loads(line, parse_constant=refuse)["type"]
    assert not [c for c in line[:-1] if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0]


@given(message=exchanges)
def test_any_body_survives(render: Render, message: Http) -> None:
    """The parsed line carries the same body bytes as the message, text or not."""
    parsed_ = parsed(render, message)
    for name in ("request", "response"):
        half = getattr(message, name)
        if half is not None:
            assert shown_bytes(half.body) == parsed_bytes(parsed_[name], "body")


@given(message=raws)
def test_any_data_survives(render: Render, message: RawData) -> None:
    """The parsed line carries the same data bytes as the message."""
    assert shown_bytes(message.data) == parsed_bytes(parsed(render, message), "data")
