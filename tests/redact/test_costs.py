"""What a stranger's text costs: time in proportion to it, and memory that is a small multiple of it."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pellucid.redact import Rules
from pellucid.redact.content import Content
from pellucid.redact.names import Names
from pellucid.redact.sql import masked_error, masked_literals
from pellucid.redact.stream import Streams
from tests.sink.messages import raw

if TYPE_CHECKING:
    from collections.abc import Callable

redact = Content(Rules())

SIZE = 12 << 10
HOSTILE = [
    "x pin:a,", "pin:;", "a-", "a.", "a-a-=", "$a", "-", "--a ", "---a=", "<a ", "<a:a ", "<a b", "<input a", "<input a='",
    "?a=", "?a", "&password=", "password:\n", "  password: ", "password='\"", 'password=\\"\\', "password:\\", "'", "\"'",
    '"password":{"a":', '{"password":[', "basic ", "bearer ", "a://", "a://b:", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----",
    "identified with ", "identified by ", "password for a ", "password(", "password $a$", "AUTH\r\n$1\r\n", "[", "{", '"', "\\",
]  # fmt: skip
"""Pieces that patterns begin with, in a text of nothing else."""


def seconds(work: Callable[[], object]) -> float:
    """CPU time of this thread at best, of three times."""
    taken = []
    for _ in range(3):
        begin = time.thread_time()
        work()
        taken.append(time.thread_time() - begin)
    return min(taken)


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("mask", [redact.text, lambda text: redact.body("[" + text)], ids=["text", "body"])
def test_time_grows_with_the_text(piece: str, mask: Callable[[str], object]) -> None:
    """Four times the text takes about four times as long, whatever is in it; were it quadratic, sixteen times."""
    short = "x" + piece * (SIZE // len(piece)) + "="
    long = "x" + piece * (4 * SIZE // len(piece)) + "="
    assert seconds(lambda: mask(long)) < 9 * seconds(lambda: mask(short))


@pytest.mark.parametrize(
    "piece", ["'", "'a", "E'", "$$", "$a$", "--", "/*", "/*!", "`", '"', "\\", "(", ")=("]
)
@pytest.mark.parametrize(
    "mask",
    [masked_error, lambda text: masked_literals(text, "mysql"), lambda text: masked_literals(text, "postgres")],
    ids=["error", "mysql", "postgres"],
)  # fmt: skip
def test_time_grows_with_the_query(piece: str, mask: Callable[[str], object]) -> None:
    """The same for SQL and for what a server says of it."""
    short, long = piece * (SIZE // len(piece)), piece * (4 * SIZE // len(piece))
    assert seconds(lambda: mask(long)) < 9 * seconds(lambda: mask(short))


@pytest.mark.parametrize(
    "beginning",
    ["password='", 'password="', '\\"password\\": \\"', "password=", "password: ", "-----BEGIN PRIVATE KEY-----",
     "identified by '", "password $$", '{"password": "', '{"password": {"', '{"password": [1,', "eyJ", "eyJaaaaaaaa."],
)  # fmt: skip
@pytest.mark.parametrize("filling", ["a-", "\\a"])
def test_memory_is_a_multiple_of_the_text(beginning: str, filling: str) -> None:
    """A long credential takes no more than copies of itself: of four in all the engine's way back would be many times more."""
    text = beginning + filling * ((1 << 19) // len(filling))
    assert peak(lambda: redact.body(text)) < 4 * len(text)


@pytest.mark.parametrize(
    "piece", ["pin:a,", "pin=a&", "?pin=a&", '{"pin":1},', "€ pin:a,", "password='", "identified by 'a' "]
)
def test_memory_of_many_credentials(piece: str) -> None:
    """However many credentials are in a text, no more than copies of it are held at once."""
    text = piece * ((1 << 19) // len(piece))
    for work in (
        lambda: redact.text(text),
        lambda: redact.body(text, "application/json"),
        lambda: redact.body("[" + text),
    ):
        assert peak(work) < 12 * len(text.encode()) + (1 << 20)


@pytest.mark.parametrize("server", ["mysql", "postgres"])
@pytest.mark.parametrize("opening", ["'", '"', "E'", "$$", "Key (a)=("])
def test_memory_of_sql(server: str, opening: str) -> None:
    """The same for a literal, and for an error that repeats it."""
    text = opening + "\\ab" * (1 << 18)
    assert peak(lambda: masked_literals(text, server)) < 4 * len(text)
    assert peak(lambda: masked_error(text)) < 4 * len(text)


def test_memory_of_names() -> None:
    """Of long names only the end is remembered."""
    names = Names()
    many = [f"{number}{'a' * 20_000}" for number in range(100)]
    before = traced()
    assert not any(names.key(name) or names.parameter(name) or names.header(name) for name in many)
    assert traced() - before < 300 * 1000
    tracemalloc.stop()


def test_a_piece_costs_what_was_before_it_at_most() -> None:
    """Raw data in many pieces costs the remembered characters a piece, and no more as the stream goes on."""

    def stream(pieces: int) -> None:
        masked = Streams(Rules())
        for number in range(pieces):
            masked.masked(raw("://a:b" * 10, offset=60 * number))

    assert seconds(lambda: stream(1200)) < 9 * seconds(lambda: stream(300))


def peak(work: Callable[[], object]) -> int:
    """Bytes that this takes at most."""
    before = traced()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


def traced() -> int:
    """Begin to trace; return the bytes of now."""
    tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def test_time_in_one_long_line() -> None:
    """Of names in one line none costs a look at the line before it: it shows in long ones only, so quick is such a look."""
    assert seconds(lambda: redact.text("x " + "pin:a," * 90_000)) < 7.5 * seconds(
        lambda: redact.text("x " + "pin:a," * 22_500)
    )


def test_time_of_hyphens() -> None:
    """Hyphens do not each begin a name anew: a text of them costs less than one of credentials."""
    hyphens, credentials = "a-" * 9_000 + "=", "pin:a," * 3_000
    assert seconds(lambda: redact.text(hyphens)) < 3 * seconds(lambda: redact.text(credentials))
