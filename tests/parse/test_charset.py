"""Bodies are text in the charset that was declared, and only where the bytes are in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.parse import Limits
from pellucid.parse.bodies.body import Body
from pellucid.parse.bodies.charset import declared
from pellucid.parse.text import readable


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("ISO-8859-1", "cp1252", "caf\xe9 \u20ac"),
        ("windows-1252", "cp1252", "\u201equoted\u201c"),
        ("Shift_JIS", "cp932", "\u65e5\u672c\u8a9e \u2460"),
        ("gbk", "gb18030", "\u4e2d\u6587"),
        ('"gb2312"', "gb18030", "\u4e2d\u6587"),
        ("iso-2022-jp", "iso2022_jp", "\u65e5\u672c"),
        ("utf-16", "utf-16", "hello"),
        ("utf-16le", "utf-16-le", "hello"),
        ("koi8-r", "koi8-r", "\u043f\u0440\u0438\u0432\u0435\u0442"),
    ],
)
def test_declared_charsets(label: str, codec: str, text: str) -> None:
    """Text in a declared charset is shown as text; what bytes it has is taken from Python's encoder."""
    body = Body(Limits())
    body.add(text.encode(codec))
    shown = body.show(None, f"text/html; Charset={label}")
    assert (shown.body, shown.size) == (text, len(text.encode(codec)))
    assert not shown.encoding


def test_a_cut_character_is_left_out() -> None:
    """Of a character that a limit has cut in two, nothing is shown."""
    data = "\u65e5\u672c".encode("cp932")[:-1]
    assert declared(data, "text/plain; charset=shift_jis", cut=True) == "\u65e5"
    assert declared(data, "text/plain; charset=shift_jis", cut=False) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png; charset=iso-8859-1",
        "text/html",
        "text/html; charset=",
        "text/html; charset=rot13",
        "text/html; charset=zlib",
        "text/html; charset=unicode_escape",
        "text/html; charset=a\x00b",
        "text/html; charset=nonsense",
        "text/html; charset=koi8-r" + " " * 300,
    ],
)
def test_what_is_no_charset_stays_bytes(content_type: str) -> None:
    """An image has no charset, a codec that is none is not run, and an unknown one is not guessed."""
    assert readable(b"\xe9\xff", content_type=content_type) == (b"\xe9\xff", "base64")


def test_a_wrong_declaration_falls_back_to_utf_8() -> None:
    """Bytes that are not in the declared charset, but in UTF-8, are shown as that."""
    data = "\u4e2d\u6587".encode()
    assert readable(data, content_type="text/plain; charset=iso-2022-jp")[0] == "\u4e2d\u6587"


@given(data=st.binary(max_size=40), label=st.sampled_from(["utf-16", "gbk", "big5", "utf-32", "euc-jp"]))
def test_any_bytes(data: bytes, label: str) -> None:
    """Whatever the bytes are, they become text or stay as they are; nothing is raised."""
    shown, encoding = readable(data, content_type=f"text/plain; charset={label}", cut=True)
    assert (encoding == "base64") == isinstance(shown, bytes)
