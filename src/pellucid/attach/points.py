"""The attach points of a file: which program goes where, and what it must know there."""

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

UPROBES = (
    "handle_new",
    "handle_share",
    "handle_free",
    "handle_reset",
    "handle_fd",
    "call_exit",
    "call_enter",
)
"""In the order in which they are attached: who is to be there first when a call comes."""

AT_RETURN = frozenset({"handle_new", "call_exit"})


@dataclass(frozen=True)
class Probe:
    """One row of the table of attach points: a program, a place, and what the program must know there."""

    program: str
    offset: int
    direction: int = 0
    handle: int = 0
    value: int = 1
    size: int = 2
    count: int = NO_ARGUMENT


def probes_of(functions: Mapping[str, Symbol], library: Library, sites: list[Site]) -> list[Probe]:
    """All attach points of one file, which has these functions by name."""
    rows = [
        Probe(
            program, site.offset, site.direction, site.handle, site.buffer, site.size, _position(site.count)
        )
        for site in sites
        for program in ("call_enter", "call_exit")
    ]
    named = {
        "handle_new": library.created,
        "handle_share": library.shared,
        "handle_free": library.freed,
        "handle_reset": library.reset,
        "handle_fd": library.socket,
    }
    for program, names in named.items():
        rows += [Probe(program, functions[name].offset) for name in names if name in functions]
    return rows


def _position(count: int | None) -> int:
    return NO_ARGUMENT if count is None else count
