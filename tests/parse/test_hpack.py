"""The decoder of header blocks, against the examples of RFC 7541 and an encoder that is not ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jh2.hpack import Encoder

from pellucid.parse.http2.hpack import HpackError, Table

NAMES = st.sampled_from([":path", "cookie", "x-a", "x-b", "x-" + "n" * 60])
VALUES = st.sampled_from(["", "1", "2", "v" * 100, "w" * 5000, "é"]) | st.text(max_size=20)
BLOCKS = st.lists(st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=6), min_size=1, max_size=12)
SIZES = st.lists(st.sampled_from([None, None, 0, 60, 200, 4096, 100_000]), min_size=12, max_size=12)


def encoded(blocks, sizes):
    """Encode with one table, whose size changes before some blocks; sensitive fields are never indexed."""
    encoder = Encoder()
    for fields, size in zip(blocks, sizes, strict=False):
        if size is not None:
            encoder.header_table_size = size
        yield encoder.encode([(name.encode(), value.encode(), secret) for name, value, secret in fields])


def plain(fields):
    return [(name, value) for name, value, _ in fields]


def test_the_responses_of_the_rfc():
    """Appendix C.6: Huffman coding, and a table of 256 bytes that evicts."""
    table = Table(whole=True)
    table.decode(b"\x3f\xe1\x01")
    blocks = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ]
    first, second, third = (table.decode(bytes.fromhex(block)).fields for block in blocks)
    assert first == [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ]
    assert second == [(":status", "307"), *first[1:]]
    assert third[-1] == ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")
    assert third[:4] == [
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
    ]


@settings(deadline=None, max_examples=150)
@given(BLOCKS, SIZES)
def test_what_was_encoded_is_decoded(blocks, sizes):
    """From the first block on every field is known, whatever the table's size does, up to what is kept of a table."""
    table = Table(whole=True)
    for fields, block in zip(blocks, encoded(blocks, sizes), strict=False):
        decoded = table.decode(block)
        assert decoded.fields == plain(fields)
        assert not decoded.missing


@settings(deadline=None, max_examples=150)
@given(BLOCKS, SIZES, st.integers(0, 11), st.integers(0, 11))
def test_who_comes_late_is_never_wrong(blocks, sizes, start, hole):
    """After a late start, and a hole, every field that is shown was sent, in order; the others are counted."""
    table = Table(whole=start == 0)
    for number, (fields, block) in enumerate(zip(blocks, encoded(blocks, sizes), strict=False)):
        if number < start:
            continue
        if number == hole:
            table.forget()
            continue
        decoded = table.decode(block)
        sent = iter(plain(fields))
        assert all(field in sent for field in decoded.fields)
        assert len(decoded.fields) + decoded.missing == len(fields)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=4), st.booleans())
def test_garbage_is_refused(blocks, whole):
    """Nothing but `HpackError` is raised, whatever bytes come."""
    table = Table(whole=whole)
    try:
        for block in blocks:
            table.decode(block)
    except HpackError:
        pass


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("80", "index 0"),
        ("be", "index 62"),
        ("00", "ends within"),
        ("000361", "ends within"),
        ("0001610561", "ends within"),
        ("7f" + "ff" * 9 + "01", "too large"),
        ("00016184ffffffff", "not in the Huffman code"),
        ("00016181ff", "not in the Huffman code"),
    ],
)
def test_blocks_that_are_wrong(block, why):
    """Each is refused in words."""
    with pytest.raises(HpackError, match=why):
        Table(whole=True).decode(bytes.fromhex(block))


def test_a_table_of_any_size_is_kept_within_a_bound():
    """An encoder that asks for a table of a gigabyte does not get one."""
    table = Table(whole=True)
    table.decode(b"\x3f\xe1\xff\xff\xff\x03")
    for number in range(100):
        table.decode(b"\x40\x01a\x7f\x81\x1e" + b"%04d" % number * 992)
    assert table.cost < 600_000
    newest = table.decode(b"\xbe\xbf")
    assert [("a", "0099" * 992), ("a", "0098" * 992)] == newest.fields
    assert 1 == table.decode(bytes([0x80 + 62 + 30])).missing


@settings(deadline=None)
@given(BLOCKS, SIZES)
def test_the_bound_of_a_block_holds(blocks, sizes):
    """No block's fields have more text than it says that they may have."""
    table = Table(whole=True)
    for block in encoded(blocks, sizes):
        decoded = table.decode(block)
        assert sum(len(name) + len(value) for name, value in decoded.fields) <= decoded.most


def test_the_same_block_again():
    """It means what the table says by then, also when it meant something else before."""
    table = Table(whole=True)
    table.decode(b"\x40\x01a\x011")
    assert [("a", "1")] == table.decode(b"\xbe").fields == table.decode(b"\xbe").fields
    table.decode(b"\x40\x01b\x012")
    assert [("b", "2")] == table.decode(b"\xbe").fields
    table.forget()
    assert 1 == table.decode(b"\xbe").missing
