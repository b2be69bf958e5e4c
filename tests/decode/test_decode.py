"""The stage as a whole: envelopes in, records and contexts out."""

from __future__ import annotations

import struct
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.decode import Decode
from pellucid.decode.btf import Btf
from pellucid.errors import FormatError
from pellucid.model import (
    RECORDS,
    Clock,
    Closed,
    Context,
    Data,
    Drops,
    End,
    Envelope,
    Interface,
    Interfaces,
    Kind,
    Login,
    Logins,
    Offsets,
    Target,
    Users,
)

CONTEXTS = [
    Clock(boot=1, wall=2),
    Target(id=1, library="libssl.so.3", path="/usr/lib/libssl.so.3", site="inner"),
    Users(names={0: "root", 1000: "ada"}),
    Logins([Login(7, 4711, "anna", "shop")]),
    Drops(seen_bytes=10, lost={"ring_full": 3}, untracked_calls=2),
    Offsets(boot=1, connections=[(1, 2, 3)]),
    Interface(id=0, name="eth0", link_type=1, index=2),
    Interfaces(boot=3, counts=[(0, 100, 1)]),
    Interfaces(boot=3, counts=[], left_out={"unowned": 1, "without_first": 0}),
    End(boot=4),
]


def closed(tag, connection):
    """A record of `struct closed`, which has this type id."""
    return struct.pack("<II4Q", tag, 40, 1, connection, 3, 4)


@pytest.fixture
def decode(clang_btf):
    """A stage that knows object 1, as clang compiled it."""
    stage = Decode()
    assert not stage.decode(Envelope(Kind.OBJECT, 1, clang_btf))
    return stage


def test_records_by_tag(decode, clang_btf):
    """A record is read by the struct that its tag names."""
    btf = Btf(clang_btf)
    data = struct.pack("<II3QIB", btf.struct("data").id, 42, 1, 2, 3, 4, 1) + b"GET /"
    assert [Data(1, 2, 3, 4, 1, b"GET /")] == list(decode.decode(Envelope(Kind.RECORD, 1, memoryview(data))))
    record = closed(btf.struct("closed").id, 2)
    assert [Closed(1, 2, 3, 4)] == list(decode.decode(Envelope(Kind.RECORD, 1, record)))


def test_each_object_has_its_own_tags(decode, clang_btf, blob):
    """The same struct may have another id in another object, and both are understood in turn."""
    written = blob()
    written.type("u64")
    written.record("closed", [(name, "u64") for name in ("time", "connection", "read", "written")])
    second = Btf(bytes(written)).struct("closed").id
    assert second != Btf(clang_btf).struct("closed").id
    decode.decode(Envelope(Kind.OBJECT, 2, memoryview(bytes(written))))
    for object, tag in ((2, second), (1, Btf(clang_btf).struct("closed").id)):
        payload = closed(tag, object).ljust(1024)
        assert [Closed(1, object, 3, 4)] == list(decode.decode(Envelope(Kind.RECORD, object, payload)))


def test_only_the_given_records(clang_btf):
    """A stage for some record classes does not know the tags of others."""
    stage = Decode([Data])
    stage.decode(Envelope(Kind.OBJECT, 1, clang_btf))
    with pytest.raises(FormatError, match="which is no record known here"):
        stage.decode(Envelope(Kind.RECORD, 1, closed(Btf(clang_btf).struct("closed").id, 2)))


def test_unknown_object(decode):
    """A record before its object's types is refused with the object's id."""
    with pytest.raises(FormatError, match="record of BPF object 7 comes before the object's types"):
        decode.decode(Envelope(Kind.RECORD, 7, closed(1, 1)))


def test_unknown_tag(decode):
    """A record of a type that is no record class is refused with its tag."""
    with pytest.raises(FormatError, match="BPF object 1 has type tag 4000"):
        decode.decode(Envelope(Kind.RECORD, 1, closed(4000, 1)))


@pytest.mark.parametrize("length", range(4))
def test_record_without_a_tag(decode, length):
    """A record too short even for its tag is refused with its length."""
    with pytest.raises(FormatError, match=f"has {length} bytes, too few for a type tag"):
        decode.decode(Envelope(Kind.RECORD, 1, bytes(length)))


def test_record_too_short(decode, clang_btf):
    """A record that lacks part of its struct is refused with both sizes."""
    payload = closed(Btf(clang_btf).struct("closed").id, 2)[:-1]
    with pytest.raises(FormatError, match="a closed record has 39 bytes, fewer than its 40 fixed ones"):
        decode.decode(Envelope(Kind.RECORD, 1, payload))


def test_object_that_is_not_btf():
    """An object envelope whose payload is not BTF is refused."""
    with pytest.raises(FormatError, match="not little-endian BTF"):
        Decode().decode(Envelope(Kind.OBJECT, 1, bytes(24)))


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: type(context).__name__)
def test_contexts(context):
    """Each context survives the way through its JSON."""
    payload = memoryview(msgspec.json.encode(context))
    assert [context] == list(Decode().decode(Envelope(Kind.CONTEXT, 0, payload)))


def test_no_context_is_left_out():
    """The test above has one of every context class."""
    assert set(Context.__subclasses__()) == {type(context) for context in CONTEXTS}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"context":"weather"}',
        b'{"context":"clock","boot":1}',
        b'{"context":"clock","boot":"1","wall":2}',
        b'{"context":"\xff"}',
        b'{"context":"end","boot":1,"deep":' + b"[" * 100_000,
    ],
    ids=["empty", "cut", "unknown", "missing", "type", "utf-8", "deep"],
)
def test_bad_context(payload):
    """JSON that is none of the contexts, in whatever way, is a FormatError."""
    with pytest.raises(FormatError, match="a context envelope is not one of ours"):
        Decode().decode(Envelope(Kind.CONTEXT, 0, payload))


@given(payload=st.binary(max_size=60))
def test_random_context(payload):
    """Random bytes as context raise FormatError."""
    with pytest.raises(FormatError):
        Decode().decode(Envelope(Kind.CONTEXT, 0, payload))


def test_end_yields_nothing(decode):
    """The end of a capture is no value of its own."""
    assert not decode.decode(Envelope(Kind.END, 0, b""))


def test_unknown_kind(decode):
    """An envelope of a later recording format is refused, not skipped."""
    with pytest.raises(FormatError, match="envelope kind 9"):
        decode.decode(Envelope(9, 0, b""))


@given(body=st.binary(max_size=150), data=st.data())
def test_random_records(clang_btf, body, data):
    """Random bytes behind any tag are one record or a FormatError, and nothing else."""
    stage = Decode()
    stage.decode(Envelope(Kind.OBJECT, 1, clang_btf))
    payload = struct.pack("<I", data.draw(st.integers(0, 80))) + body
    with suppress(FormatError):
        [record] = stage.decode(Envelope(Kind.RECORD, 1, payload))
        assert type(record) in RECORDS
