"""Hex dumps."""

from __future__ import annotations

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.sink.hexdump import hexdump


@settings(max_examples=10)
@given(data=st.binary(max_size=70))
def test_the_layout_is_that_of_hexdump(data: bytes) -> None:
    """The lines are those of `hexdump -vC`, whose last line is only the size."""
    theirs = subprocess.run(["hexdump", "-vC"], input=data, capture_output=True, check=True).stdout
    assert theirs.decode().splitlines()[:-1] == list(hexdump(data))


def test_base() -> None:
    """The first line carries the offset that was given, however large."""
    expected = f"10000000000  41{' ' * 48}|A|"
    assert expected == next(hexdump(b"A", 2**40))
