"""Header fields: what is read from memory is what llhttp reads."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pellucid.parse.http1 import fields as http1_fields
from pellucid.parse.http1.fields import Fields, HeadError, read_fields

NAMES = st.sampled_from(
    [b"Host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Content-Encoding", b"Content-Type",
     b"X-A", b"Connection", b"Upgrade", b"", b" X", b"X ", b"X\x00"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [b"", b"0", b"17", b"+1", b"1 2", b"9" * 19, b"9" * 30, b"chunked", b"gzip, chunked", b"keep-alive",
         b" a \t", b"\tb", b"caf\xc3\xa9", b"caf\xe9", b"a\x01b", b"a\nb", b"a\r\n folded", b"\x7f", b"upgrade"]
    ),
    st.binary(max_size=12),
)  # fmt: skip
LINES = st.tuples(
    NAMES, st.sampled_from([b":", b": ", b" : ", b""]), VALUES, st.sampled_from([b"\r\n", b"\n"])
)
BLOCKS = st.lists(LINES.map(b"".join), max_size=6).map(lambda lines: b"".join(lines) + b"\r\n")


def outcome(block):
    try:
        fields = Fields(block)
    except HeadError:
        return "refused"
    return {name: getattr(fields, name) for name in Fields.__slots__}


@pytest.mark.interpreted
@example(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")
@example(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
@example(b"Content-Length: chunked\r\n\r\n")
@example(b"Transfer-Encoding: 5\r\n\r\n")
@example(b"Transfer-Encoding:\r\n\r\n")
@example(b"X-A: 1\r\n folded\r\n\r\n")
@given(BLOCKS)
def test_plain_lines_are_read_as_llhttp_reads_them(block):
    """Whether the quick way takes a block or leaves it: fields, framing and refusals are those of llhttp alone."""
    quick = outcome(block)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http1_fields, "_plain", lambda block: None)
        assert quick == outcome(block)


def test_the_same_block_is_read_once():
    """A client that repeats itself costs nothing: the very same object comes back; a long block is not kept."""
    block = b"Host: a.example\r\nX-Once: yes\r\n\r\n"
    long = b"Cookie: " + b"c" * 2000 + b"\r\n\r\n"

    assert read_fields(block) is read_fields(bytes(bytearray(block)))
    assert read_fields(long) is not read_fields(long)
    assert read_fields(long).fields == [("Cookie", "c" * 2000)]
