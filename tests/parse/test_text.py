"""Bytes as text, where they are text."""

from msgspec import UNSET

from pellucid.parse.text import field_text, readable


def test_utf8_is_text():
    """It needs no encoding."""
    assert ("é\x00", UNSET) == readable(b"\xc3\xa9\x00")


def test_anything_else_is_bytes():
    """They are unchanged, and marked."""
    assert (b"a\xc3", "base64") == readable(b"a\xc3")


def test_a_cut_character():
    """Only where the bytes were cut is half a character left out, and only at the end."""
    assert ("a", UNSET) == readable(b"a\xc3", cut=True)
    assert (b"\xc3a", "base64") == readable(b"\xc3a", cut=True)


def test_fields():
    """UTF-8 first, ISO 8859-1 for what is not."""
    assert ("é", "é") == (field_text(b"\xc3\xa9"), field_text(b"\xe9"))
