"""The attach points of a file: what its functions do, where they are, and which argument is what."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

from pellucid.attach.code.emulation import cheap_place
from pellucid.libbpf import BpfError
from pellucid.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site
    from pellucid.attach.symbols import Elf, Symbol
    from pellucid.attach.values import MapValue
    from pellucid.libbpf import BpfMap

_KEY = Struct("<I")

NO_ARGUMENT = 255
"""`struct point.count` where the return value is the count (plaintext.bpf.c)."""

KINDS = ("call", "new", "share", "free", "reset", "descriptor", "made", "seal", "start")
"""The order of `enum kind` in plaintext.bpf.c. Of a key log's points it is one of `KeyTracing`'s."""

PROGRAMS = {"returned": frozenset({"call", "new", "made", "seal"}), "entered": frozenset(KINDS) - {"new"}}
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
    """The buffer; elsewhere the file descriptor."""
    size: int = 2
    count: int = NO_ARGUMENT
    absent: int = 0
    """1 where the bytes are nowhere in the program's memory."""


class Points:
    """The kernel's map `points`: a probe's cookie is its point's place there.

    Places are given again, to others, once their probes are gone: a cookie belongs to its probe, not to the call.
    """

    def __init__(self, array: BpfMap, value: MapValue) -> None:
        self._map = array
        self._value = value
        self._points: dict[int, Point] = {}
        self._free = list(range(array.max_entries - 1, -1, -1))

    def __getitem__(self, cookie: int) -> Point | None:
        """The point that has this place now."""
        return self._points.get(cookie)

    @property
    def crowded(self) -> bool:
        """Whether more than half of the places are taken."""
        return len(self._points) > len(self._free)

    def add(self, points: Sequence[Point], target: int) -> list[int]:
        """Enter the points of a target; their cookies. BpfError where there is no room for all of them."""
        if len(points) > len(self._free):
            raise BpfError(f"no room for its probes: {len(self._points)} are in use")
        cookies = [self._free.pop() for _ in points]
        for cookie, point in zip(cookies, points, strict=True):
            self._points[cookie] = point
            self._map.update(_KEY.pack(cookie), self._packed(point, target))
        return cookies

    def remove(self, cookies: Iterable[int]) -> None:
        """Give back the places of probes that are gone."""
        for cookie in cookies:
            del self._points[cookie]
            self._free.append(cookie)

    def _packed(self, point: Point, target: int) -> bytes:
        return self._value.write(
            target=target,
            kind=KINDS.index(point.kind),
            direction=point.direction,
            handle=point.handle,
            value=point.value,
            size=point.size,
            count=point.count,
            absent=point.absent,
        )


def points_of(
    elf: Elf,
    functions: Mapping[str, Symbol],
    library: Library,
    sites: list[Site],
    *,
    entry_only: bool = False,
) -> list[Point]:
    """All attach points of one file, which has these functions by name. With `entry_only` none is anywhere
    but where its function begins.
    """

    def place(kind: str, function: Symbol) -> int:
        if entry_only or kind in PROGRAMS["returned"]:
            return function.offset
        return elf.offset(cheap_place(elf, function))

    calls = [
        Point("call", site.offset, site.direction, site.handle, site.buffer, site.size, _position(site.count))
        for site in sites
    ]
    files = [
        Point("call", functions[name].offset, Direction.WRITE, size=3, absent=1)
        for name in library.sendfile
        if name in functions
    ]
    others = {
        "new": library.created,
        "share": library.shared,
        "free": library.freed,
        "reset": library.reset,
        "descriptor": library.socket,
    }
    rest = [
        Point(kind, place(kind, functions[name]))
        for kind, names in others.items()
        for name in names
        if name in functions
    ]
    made = [Point("made", functions[name].offset, value=0) for name in library.made if name in functions]
    seals = [
        Point("seal", functions[seal.name].offset, handle=seal.handle)
        for seal in library.seals
        if seal.name in functions
    ]
    starts = [Point("start", elf.offset(elf.entry))] if library.starts else []
    return starts + calls + files + rest + made + seals


def _position(count: int | None) -> int:
    return NO_ARGUMENT if count is None else count
