"""Escaping."""

from __future__ import annotations

import pytest

from pellucid.escape import escape, escape_body


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\xe9 \\n \U0001f600", "caf\xe9 \\n \U0001f600"),
        ("\xa0", "\xa0"),
        ("\t\n\r\0\x1b\x7f", r"\t\n\r\x00\x1b\x7f"),
        ("\x80\x9b\x9f", r"\x80\x9b\x9f"),
        ("\u061c\u202e\u2066\u2028", r"\u061c\u202e\u2066\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    """What controls a terminal or the order of text is spelled out; all else stays."""
    assert shown == escape(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n\nc", "a\tb\n\nc"),
        ("a\r\nb\rc\r\r\n", "a\nb\\rc\\r\n"),
        ("\t\x1b[0m\n\xa0", "\t\\x1b[0m\n\xa0"),
    ],
)
def test_escape_body(text: str, shown: str) -> None:
    """A body keeps its lines and tabs; a carriage return that ends no line is spelled out."""
    assert shown == escape_body(text)
