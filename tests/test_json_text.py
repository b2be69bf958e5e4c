"""The text of JSON, whole or cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pellucid.json_text import end_of_value, is_valid, string, tokens, value_of_key

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(document=documents)
def test_tokens_are_all_of_it(document: Any) -> None:
    """The tokens make the document again, and a value ends where the document does."""
    text = json.dumps(document)
    assert json.loads("".join(tokens(text))) == document
    assert is_valid(text)
    assert end_of_value(f"{text} , 1", 0) == len(text)


@given(document=documents, cut=st.integers(1, 50))
def test_what_was_cut(document: Any, cut: int) -> None:
    """Of a document that was cut, every character but white space is in a token."""
    text = json.dumps(document)[:-cut]
    assert "".join("".join(tokens(text)).split()) == "".join(text.split())
    assert end_of_value(text, 0) <= len(text)


def test_strings() -> None:
    """A string is found with its quotes and escapes, and whether it is a key."""
    text = r'[ "a\"b" : 1, "cut'
    assert string(text, 0) == (2, 8)
    assert value_of_key(text, 8) == 11
    assert string(text, 8) == (14, 18)
    assert value_of_key(text, 18) is None
    assert string(text, 18) is None


def test_what_is_no_value() -> None:
    """Where a value is missing, it ends where it should begin; brackets too many to be read are not valid."""
    assert end_of_value("}", 0) == 0
    assert end_of_value("", 0) == 0
    assert not is_valid("[" * 100_000)
    assert not is_valid("[1")
