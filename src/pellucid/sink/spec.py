"""Sink specifications of the command line: `-o FORMAT:PLACE`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

STDOUT = "-"
"""The place that means standard output."""

ZSTD = ".zst"
"""How the name of a compressed file ends (RFC 8878 section 6.1)."""

PLACES = "a place is a file, -, tcp://HOST:PORT or ws://HOST:PORT/PATH"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""RFC 3986 section 3.1, and the slashes that tell it from a file with a colon in its name."""


class Endpoint(NamedTuple):
    """Whom to connect to."""

    scheme: str
    """`tcp` or `ws`."""
    host: str
    """A name or an address, IPv6 without its brackets."""
    port: int


class SinkSpec(NamedTuple):
    """Which format goes where."""

    format: str
    place: str
    """A file's path, `-` for standard output, or `tcp://` or `ws://`."""
    shared: bool = False
    """The log goes there as well."""
    appends: bool = False
    """What the format writes goes behind what the file holds already."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Whom to connect to; None for files and standard output."""
        return endpoint_of(self.place)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, of whatever kind."""
        return self.place != STDOUT and not _SCHEME.match(self.place)

    @property
    def stays(self) -> bool:
        """Whether what the file holds stays, and it does not rotate."""
        return self.shared or self.appends

    @property
    def may_rotate(self) -> bool:
        """Whether it is a file that can give way to another."""
        return self.is_file and not self.stays

    @property
    def compressed(self) -> bool:
        """Whether its bytes are to be compressed."""
        return self.may_rotate and self.place.endswith(ZSTD)


def parse_spec(text: str, formats: Collection[str]) -> SinkSpec:
    """Split `FORMAT:PLACE`; `FORMAT` alone means standard output.

    Raises UsageError, in one line, for a format that is not in `formats` and for a place that is none.
    """
    format_, colon, place = text.partition(":")
    if format_ not in formats:
        known = ", ".join(sorted(formats))
        raise UsageError(f"unknown output format {format_!r} in {text!r}: the formats are {known}")
    if not colon:
        place = STDOUT
    if not place:
        raise UsageError(f"cannot write to {place!r} in {text!r}: {PLACES}")
    endpoint_of(place)
    return SinkSpec(format_, place)


def endpoint_of(place: str) -> Endpoint | None:
    """Whom a place with a scheme means; None for any other place. UsageError where it is not one of ours."""
    if not _SCHEME.match(place):
        return None
    try:
        url = urlsplit(place)
        found = Endpoint(url.scheme, url.hostname or "", url.port or (80 if url.scheme == "ws" else 0))
        extra = url.username or url.fragment or (url.scheme == "tcp" and (url.path.strip("/") or url.query))
    except ValueError:  # a port that is no number, brackets that do not match
        raise UsageError(f"cannot write to {place!r}: {PLACES}") from None
    if found.scheme not in {"tcp", "ws"} or not found.host or not found.port or extra:
        raise UsageError(f"cannot write to {place!r}: {PLACES}")
    return found
