"""Protobuf by a schema: names for what fits, a reason for what does not, whatever the bytes are."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.parse.grpc.protobuf import MAX_DEPTH, MAX_VALUES
from pellucid.protos import read_schema

EVERY = Path(__file__).parent.parent / "protos" / "every.proto"
TYPE = read_schema([EVERY]).method("/every.Every/Call").request
TEXT = b"\x0a\x01a"
"""What a message must have."""


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


NUMBERS = st.one_of(st.integers(1, 20), st.just(100))
URLS = ["type.googleapis.com/every.Kind", "type.googleapis.com/not.There", "no url"]
VALUES = st.one_of(
    st.integers(0, (1 << 64) - 1), st.binary(max_size=9), st.sampled_from([url.encode() for url in URLS])
)


def message(inner):
    fields = st.builds(field, NUMBERS, st.one_of(VALUES, inner))
    return st.lists(fields, max_size=4).map(b"".join)


MESSAGES = st.recursive(st.just(TEXT), message, max_leaves=12)


@given(st.one_of(MESSAGES, st.binary()))
@settings(max_examples=400)
def test_any_bytes(data):
    """Either there is a message that JSON can hold, or a reason why not; nothing is raised."""
    named, problem = TYPE.read(data)
    assert isinstance(msgspec.json.encode(named), bytes)
    assert named is not None or problem


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (field(3, 5) + field(4, b"\x00\x05"), {"choices": ["FIVE"], "packed": ["ZERO", "FIVE"]}),
        (field(6, field(1, URLS[0].encode()) + field(2, TEXT)), {"any": {"@type": URLS[0], "text": "a"}}),
        (field(7, field(1, 1) + field(2, 5)), {"timestamp": "1970-01-01T00:00:01.000000005Z"}),
        (field(9, field(1, field(1, b"k") + field(2, field(3, b"v")))), {"structure": {"k": "v"}}),
        (field(12, field(1, b"k") + field(2, TEXT)), {"by_name": {"k": {"text": "a"}}}),
        (field(100, TEXT), {"[every.extended]": {"text": "a"}}),
        (b"\x2b" + field(2, TEXT) + b"\x2c", {"group": {"kinds": [{"text": "a"}]}}),
    ],
)
def test_each_kind(data, named):
    """What has a form of its own in JSON is shown in it."""
    assert TYPE.read(TEXT + data) == ({"text": "a", **named}, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (field(6, field(1, URLS[1].encode())), "has no JSON form as every.Kind: Can not find"),
        (field(7, field(1, 1 << 62)), "has no JSON form as every.Kind: "),
        (field(12, field(1, b"\xff")), "has no JSON form as every.Kind: "),
        (b"\x0a\x05a", "does not fit every.Kind"),
        (field(3, 5) * (MAX_VALUES + 1), "has more values than are shown by name"),
        (field(12, b"") * MAX_VALUES, None),
        (field(18, field(3, 5) * MAX_VALUES), "has more values than are shown by name"),
    ],
)
def test_what_has_no_names(data, problem):
    """There is no message then, and why not is said."""
    named, said = TYPE.read(TEXT + data)
    assert (named is None) == (problem is not None)
    assert (said or "").startswith(problem or "")


def any_of(depth, value):
    """An Any of `value` in as many others: each is bytes to the one around it, so protobuf's own bound does not hold."""
    for _ in range(depth):
        value = field(1, b"type.googleapis.com/google.protobuf.Any") + field(2, value)
    return value


@pytest.mark.parametrize("depth", [100, 400, 800])
def test_an_any_of_an_any(depth):
    """What is nested deeper than can be shown is refused, whatever it is nested in."""
    assert TYPE.read(TEXT + field(6, any_of(depth, b""))) == (
        None,
        f"is deeper than the {MAX_DEPTH} levels that are shown by name",
    )


def test_many_values_in_an_any():
    """Those in an Any count as all others do."""
    kind = field(1, URLS[0].encode()) + field(2, TEXT + field(3, 5) * (MAX_VALUES + 1))
    assert TYPE.read(TEXT + field(6, kind)) == (None, "has more values than are shown by name")


def test_a_required_field_that_is_missing():
    """The message is shown as it is: whoever sent it has the fault."""
    assert TYPE.read(b"") == ({}, None)
    assert TYPE.read(field(3, 5)) == ({"choices": ["FIVE"]}, None)
