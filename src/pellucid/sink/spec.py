"""Sink specifications of the command line: `-o FORMAT:PLACE`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

STDOUT = "-"
"""The place that means standard output."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""RFC 3986 section 3.1, and the slashes that tell it from a file with a colon in its name."""


class SinkSpec(NamedTuple):
    """Which format goes where."""

    format: str
    place: str
    """A file's path, or `-` for standard output."""


def parse_spec(text: str, formats: Collection[str]) -> SinkSpec:
    """Split `FORMAT:PLACE`; `FORMAT` alone means standard output.

    Raises UsageError, in one line, for a format that is not in `formats` and for a place that is
    neither a file nor `-`.
    """
    format_, colon, place = text.partition(":")
    if format_ not in formats:
        known = ", ".join(sorted(formats))
        raise UsageError(f"unknown output format {format_!r} in {text!r}: the formats are {known}")
    if not colon:
        place = STDOUT
    if not place or _SCHEME.match(place):
        raise UsageError(f"cannot write to {place!r} in {text!r}: a place is a file or -")
    return SinkSpec(format_, place)
