"""What a Content-Type says, and where the parts of a multipart body are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.media import MAX_PARTS, essence, is_json, pairs, parameter, parts

FORM = (
    b"preamble\r\n--XX\r\n"
    b'Content-Disposition: form-data; name="user"\r\n\r\nme\r\n'
    b"--XX\r\n"
    b'content-disposition: form-data; name="file"; filename="a \\"b\\".png"\r\nContent-Type: image/png\r\n\r\n'
    b"\x89PNG\r\n\r\n--X\r\n"
    b"--XX--\r\nepilogue"
)


def test_parts() -> None:
    """Each part has its name, its file name, its type and exactly its bytes; around them is nothing."""
    found = [
        (part.name, part.filename, part.type, FORM[part.start : part.end])
        for part in parts(FORM, 'multipart/form-data; boundary="XX"')
    ]
    assert found == [
        ("user", None, "text/plain", b"me"),
        ("file", 'a "b".png', "image/png", b"\x89PNG\r\n\r\n--X"),
    ]


def test_parts_of_a_cut_body() -> None:
    """Where the body ends in the middle, the last part ends with it."""
    cut = FORM[: FORM.index(b"PNG") + 3]
    *_, last = parts(cut, "multipart/form-data; boundary=XX")
    assert (last.name, cut[last.start : last.end]) == ("file", b"\x89PNG")


def test_no_boundary() -> None:
    """A body whose boundary is not told, or not there, has no parts."""
    assert list(parts(FORM, "multipart/form-data")) == []
    assert list(parts(FORM, "multipart/form-data; boundary=YY")) == []


def test_parts_are_bounded() -> None:
    """A body made of boundaries has no more than the limit of parts."""
    assert len(list(parts(b"--X\r\n\r\n\r\n" * 5000, "multipart/x; boundary=X"))) <= MAX_PARTS + 1


@given(body=st.binary(max_size=60) | st.text("-X\r\n: a").map(str.encode))
def test_any_body(body: bytes) -> None:
    """Parts of any bytes lie in them, in order, without overlap."""
    at = 0
    for part in parts(body, "multipart/mixed; boundary=X"):
        assert at <= part.start <= part.end <= len(body)
        at = part.end


@pytest.mark.parametrize(
    ("header", "value"),
    [("text/html; charset=UTF-8", "UTF-8"), ('a/b;x="; charset=no" ; CHARSET="q"', "q"), ("a/b", None)],
)
def test_parameter(header: str, value: str | None) -> None:
    """A parameter is found by its name in any case, not inside the quotes of another."""
    assert parameter(header, "charset") == value


def test_pairs() -> None:
    """Each field has its name and value decoded, and its value's place in the text; empty pieces are none."""
    text = "a=b+c&&d=%C3%A4=&e&=f"
    found = [(name, value, text[start:end]) for name, value, start, end in pairs(text)]
    assert found == [("a", "b c", "b+c"), ("d", "ä=", "%C3%A4="), ("e", "", ""), ("", "f", "f")]


def test_essence() -> None:
    """The media type alone, in lower case; JSON also by its suffix."""
    assert essence("Text/HTML ; charset=x") == "text/html"
    assert essence(None) == ""
    assert is_json("application/problem+json")
    assert not is_json("application/jsonx")
