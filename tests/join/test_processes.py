"""Paths that come part by part."""

from __future__ import annotations

from pellucid.join.processes import path_of


def test_the_last_part_comes_first():
    """Parts are joined from the root."""
    assert path_of(b"curl\0bin\0usr\0") == "/usr/bin/curl"


def test_nothing_is_no_path():
    """A process without an executable, as a thread of the kernel's."""
    assert path_of(b"") is None


def test_a_name_that_is_not_utf_8():
    """Its bytes show as escapes."""
    assert path_of(b"\xff\0") == "/\\xff"
