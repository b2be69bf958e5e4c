"""The attach points of a file: what its functions do, where they are, and which argument is what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site
    from pellucid.attach.symbols import Symbol

NO_ARGUMENT = 255
"""`struct point.count` where the return value is the count (plaintext.bpf.c)."""

KINDS = ("call", "new", "share", "free", "reset", "descriptor")
"""The order of `enum kind` in plaintext.bpf.c."""

PROGRAMS = {"returned": frozenset({"call", "new"}), "entered": frozenset(KINDS) - {"new"}}
"""Which kinds each program is for, in the order in which they are attached: a call that begins between the
two is not seen, and none is seen without its end."""


@dataclass(frozen=True)
class Point:
    """One function that is probed, and what the programs must know there; positions count from 0."""

    kind: str
    offset: int
    """In the file, in bytes."""
    direction: int = 0
    handle: int = 0
    value: int = 1
    """The buffer; in a setter the file descriptor."""
    size: int = 2
    count: int = NO_ARGUMENT


def points_of(functions: Mapping[str, Symbol], library: Library, sites: list[Site]) -> list[Point]:
    """All attach points of one file, which has these functions by name."""
    calls = [
        Point("call", site.offset, site.direction, site.handle, site.buffer, site.size, _position(site.count))
        for site in sites
    ]
    others = {
        "new": library.created,
        "share": library.shared,
        "free": library.freed,
        "reset": library.reset,
        "descriptor": library.socket,
    }
    return calls + [
        Point(kind, functions[name].offset)
        for kind, names in others.items()
        for name in names
        if name in functions
    ]


def _position(count: int | None) -> int:
    return NO_ARGUMENT if count is None else count
