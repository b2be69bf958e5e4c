"""Bodies are kept, counted, hashed and shown within the limits."""

from __future__ import annotations

import gzip
import hashlib

import pytest
from msgspec import UNSET

from pellucid.parse import Limits
from pellucid.parse.bodies.body import Body, Shown


def body(*pieces: bytes | int, **limits: int) -> Body:
    """Make a body of pieces; a number is that many missing bytes."""
    made = Body(Limits(**limits))
    for piece in pieces:
        if isinstance(piece, int):
            made.lose(piece)
        else:
            made.add(piece)
    return made


def test_nothing():
    """An empty body is empty text."""
    assert Shown() == body().show(None)


def test_pieces_become_text():
    """A body that is UTF-8 as a whole is text, wherever it was split."""
    assert Shown("aé", size=3) == body(b"a\xc3", b"\xa9").show(None)


def test_a_body_exactly_at_the_limit_is_whole():
    """The limit is what is shown, not one byte less."""
    assert Shown("abcd", size=4) == body(b"ab", b"cd", max_body=4).show(None)


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abcd", b"ef"], [b"a", b"bcde", b"f"]])
def test_a_body_beyond_the_limit_is_hashed(pieces):
    """The digest is of all bytes sent, those kept and those not."""
    digest = hashlib.sha256(b"abcdef").hexdigest()
    assert Shown("abcd", UNSET, 6, digest, True) == body(*pieces, max_body=4).show(None)


def test_a_cut_in_the_middle_of_a_character():
    """A character of which the limit leaves one half does not turn the text into base64."""
    shown = body("aé".encode(), max_body=2).show(None)
    assert ("a", UNSET) == (shown.body, shown.encoding)


def test_bytes_that_are_not_text():
    """They stay bytes, and say how they are written."""
    assert Shown(b"\xff", "base64", 1) == body(b"\xff").show(None)


def test_a_hole():
    """Missing bytes count, and no digest is claimed, not even of what overflows after the hole."""
    assert Shown("abef", UNSET, 8, UNSET, True) == body(b"ab", 2, b"efgh", max_body=4).show(None)


def test_a_hole_after_the_limit():
    """A digest that was begun is dropped."""
    assert Shown("ab", UNSET, 4, UNSET, True) == body(b"abc", 1, max_body=2).show(None)


def test_a_hole_of_no_bytes_is_none():
    """Where framing is lost but no byte of the body, the digest stays right."""
    digest = hashlib.sha256(b"abc").hexdigest()
    assert digest == body(b"abc", 0, max_body=2).show(None).sha256


def test_a_coded_body_with_a_hole():
    """What was before the hole is decoded; what follows it cannot be."""
    coded = gzip.compress(bytes(range(256)) * 4, 0)
    shown = body(coded[:200], 50, coded[250:]).show("gzip")
    assert (bytes(range(185)), len(coded)) == (shown.body, shown.size)


def test_a_coded_body_whose_meaning_is_beyond_the_limit():
    """The decoded beginning is shown; the digest is of the bytes as sent."""
    coded = gzip.compress(b"a" * 100)
    expected = Shown("a" * 50, UNSET, len(coded), hashlib.sha256(coded).hexdigest(), True)
    assert expected == body(coded, max_body=50).show("gzip")


def test_max_decoded_bounds_each_coding_and_max_body_what_is_shown():
    """The two limits are apart: either one cuts."""
    coded = gzip.compress(b"a" * 100)
    assert "a" * 30 == body(coded, max_decoded=30).show("gzip").body
    assert "a" * 60 == body(coded, max_decoded=90, max_body=60).show("gzip").body


def test_a_coding_that_fails():
    """The bytes as sent are shown, whole."""
    assert Shown("no gzip", size=7) == body(b"no gzip").show("gzip")


@pytest.mark.parametrize("most", [0, 2, 4])
def test_a_body_that_is_shortened(most):
    """What is kept shrinks for good; size and digest are those of all bytes, before and after."""
    made = body(b"abc", b"d")
    made.shorten(most)
    made.add(b"ef")
    shown = made.show(None)
    assert Shown("abcdef"[:most], UNSET, 6, hashlib.sha256(b"abcdef").hexdigest(), True) == shown
    assert made.shortened


def test_a_body_that_need_not_be_shortened():
    """One that has ended within what it may keep is whole."""
    made = body(b"abcd")
    made.shorten(4)
    assert Shown("abcd", size=4) == made.show(None)
    assert not made.shortened


def test_a_shortened_body_with_a_hole():
    """No digest is claimed where bytes are missing, and what is before the hole is decoded as far as it is kept."""
    coded = gzip.compress(b"a" * 100, 0)
    made = body(coded[:60], 5, coded[65:])
    made.shorten(30)
    shown = made.show("gzip")
    assert ("a" * 15, UNSET, len(coded)) == (shown.body, shown.sha256, shown.size)


def test_a_shortened_coded_body():
    """Its beginning is decoded."""
    made = body(gzip.compress(b"a" * 100, 0))
    made.shorten(30)
    assert "a" * 15 == made.show("gzip").body
