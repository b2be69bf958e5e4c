"""Sink specifications."""

from __future__ import annotations

import pytest

from pellucid.errors import UsageError
from pellucid.sink import SinkSpec, parse_spec
from pellucid.sink.spec import PLACES

FORMATS = ("text", "json")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("json", SinkSpec("json", "-")),
        ("json:-", SinkSpec("json", "-")),
        ("json:events.ndjson", SinkSpec("json", "events.ndjson")),
        ("text:/var/log/a:b", SinkSpec("text", "/var/log/a:b")),
        ("text:./tcp://x", SinkSpec("text", "./tcp://x")),
    ],
)
def test_format_and_place(text: str, spec: SinkSpec) -> None:
    """The first colon ends the format; without one the place is standard output."""
    assert spec == parse_spec(text, FORMATS)


@pytest.mark.parametrize(
    ("place", "endpoint"),
    [
        ("tcp://h:1", ("tcp", "h", 1)),
        ("tcp://[::1]:9000", ("tcp", "::1", 9000)),
        ("ws://h/path?query", ("ws", "h", 80)),
        ("ws://127.0.0.1:28257/", ("ws", "127.0.0.1", 28257)),
        ("tcp:h", None),
        ("./tcp://h:1", None),
        ("-", None),
    ],
)
def test_whom_to_connect_to(place: str, endpoint: tuple[str, str, int] | None) -> None:
    """A place with a scheme names a host and a port, which `ws://` has by itself; others are files or stdout."""
    spec = parse_spec(f"json:{place}", FORMATS)
    assert (spec.endpoint, spec.is_file) == (endpoint, endpoint is None and place != "-")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("xml:a", "unknown output format 'xml' in 'xml:a': the formats are json, text"),
        ("JSON", "unknown output format 'JSON' in 'JSON': the formats are json, text"),
        ("", "unknown output format '' in '': the formats are json, text"),
        ("json:", f"cannot write to '' in 'json:': {PLACES}"),
        *[
            (f"text:{place}", f"cannot write to {place!r}: {PLACES}")
            for place in (
                "tcp://h",
                "tcp://:1",
                "tcp://h:0",
                "tcp://h:port",
                "tcp://h:70000",
                "tcp://h:1/path",
                "tcp://u@h:1",
                "tcp://[::1:1",
                "wss://h",
                "ws://",
                "ws://h#part",
                "http://h:1",
            )
        ],
    ],
)
def test_complaints(text: str, complaint: str) -> None:
    """A specification that cannot be is refused in one line that names it and says what can be."""
    with pytest.raises(UsageError) as caught:
        parse_spec(text, FORMATS)
    assert complaint == str(caught.value)
