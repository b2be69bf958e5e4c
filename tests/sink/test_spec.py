"""Sink specifications."""

from __future__ import annotations

import pytest

from pellucid.errors import UsageError
from pellucid.sink import SinkSpec, parse_spec

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
    ("text", "complaint"),
    [
        ("xml:a", "unknown output format 'xml' in 'xml:a': the formats are json, text"),
        ("JSON", "unknown output format 'JSON' in 'JSON': the formats are json, text"),
        ("", "unknown output format '' in '': the formats are json, text"),
        ("json:", "cannot write to '' in 'json:': a place is a file or -"),
        ("text:tcp://h:1", "cannot write to 'tcp://h:1' in 'text:tcp://h:1': a place is a file or -"),
        ("text:ws://h", "cannot write to 'ws://h' in 'text:ws://h': a place is a file or -"),
    ],
)
def test_complaints(text: str, complaint: str) -> None:
    """A specification that cannot be is refused in one line that names it and says what can be."""
    with pytest.raises(UsageError) as caught:
        parse_spec(text, FORMATS)
    assert complaint == str(caught.value)
