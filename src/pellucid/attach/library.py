"""What Pellucid has to know of a library with plain read and write calls: names and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.attach.sites import Call


@dataclass(frozen=True)
class Library:
    """A family of libraries, served by plaintext.bpf.c. Functions that a file lacks are left out."""

    name: str
    calls: tuple[Call, ...]
    """What reads and writes."""
    created: tuple[str, ...] = ()
    """Functions that return a new connection object."""
    freed: tuple[str, ...] = ()
    """Functions that give back a reference to the object in their first argument; the last one ends it."""
    shared: tuple[str, ...] = ()
    """Functions that take one more reference to the object in their first argument."""
    reset: tuple[str, ...] = ()
    """Functions that make the object in their first argument ready for another connection."""
    socket: tuple[str, ...] = ()
    """Functions that tell the object in their first argument its file descriptor, the second."""
