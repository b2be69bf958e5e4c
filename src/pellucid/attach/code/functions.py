"""The functions around some places in code, for files without symbols.

Where the file says for unwinding which function a place is in, that is taken. Else a function begins where a
`call` somewhere in the file leads, and ends before the next one: which is only a guess, to be confirmed by
what the code there does.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from pellucid.attach.code.references import CALL, relative_references
from pellucid.attach.code.x86 import OpaqueError, conduct
from pellucid.attach.symbols import Symbol
from pellucid.attach.unwind import Extents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.attach.code.x86 import Conduct
    from pellucid.attach.symbols import Elf

_LONGEST = 4096  # bytes: longer functions are not looked into
_ALIGNMENT = 16  # where compilers let functions begin; what is not so aligned is no function, but chance


def functions_around(elf: Elf, places: Iterable[int]) -> list[Symbol]:
    """The functions that hold these virtual addresses, each once, without a name."""
    extents = Extents(elf)
    known = {place: extents.at(place) for place in places}
    called = _called(elf, [place for place, extent in known.items() if extent is None])
    found = {extent or _between(called, place) for place, extent in known.items()}
    return [
        Symbol("", extent.start, len(extent), elf.offset(extent.start))
        for extent in sorted(found, key=lambda extent: extent.start)
        if extent
    ]


def conduct_of(elf: Elf, symbol: Symbol, *, loops: bool = False) -> Conduct | None:
    """What such a function does; None where that cannot be followed, or where no function begins there.

    `loops` as for `conduct`.
    """
    try:
        found = conduct(elf, symbol, loops=loops)
    except OpaqueError:
        return None
    return found if found.balanced else None


def _between(called: list[int], place: int) -> range:
    """From the last function that begins before a place to the next one; empty where none does."""
    number = bisect_right(called, place)
    if number == 0 or place - called[number - 1] >= _LONGEST:
        return range(0)
    start = called[number - 1]
    following = called[number] if number < len(called) else start + _LONGEST
    return range(start, min(following, start + _LONGEST))


def _called(elf: Elf, places: list[int]) -> list[int]:
    """Where calls lead to that lie near one of the places, sorted."""
    near = _merged([range(place - _LONGEST, place + _LONGEST) for place in sorted(places)])
    targets = {reference.target for reference in relative_references(elf, CALL, near)}
    return sorted(target for target in targets if target % _ALIGNMENT == 0)


def _merged(ranges: list[range]) -> list[range]:
    """Sorted ranges, those that touch made one."""
    merged: list[range] = []
    for one in ranges:
        if merged and one.start <= merged[-1].stop:
            merged[-1] = range(merged[-1].start, one.stop)
        else:
            merged.append(one)
    return merged
