"""Where a file's functions begin and end, by what it says for unwinding the stack: stripped files say it too.

`.eh_frame_hdr` is a table, sorted by address, of functions and their entries (FDE) in `.eh_frame`: Linux
Standard Base 5.0 (core, generic), 10.6. Most files have it, for debuggers and C++ exceptions; programs that are
built without either have not, such as Bun and most of Chromium. Encodings other than the usual ones (10.5.1)
count as not saying.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf

_SECTION = ".eh_frame_hdr"
_HEADER = Struct("<4BiI")  # version, three encodings, the pointer to .eh_frame, rows
_USUAL = (1, 0x1B, 0x03, 0x3B)  # version 1; DW_EH_PE_pcrel|sdata4, udata4, datarel|sdata4
_ROW = Struct("<ii")  # a function, its FDE: both from the section's address on
_FDE = Struct("<8xiI")  # the function from here on (pcrel|sdata4), its size; after length and CIE
_PLACE = 8  # where in the FDE the function is told


class Extents:
    """The extents of a file's functions, as far as it tells them."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf

    def at(self, address: int) -> range | None:
        """The function that this virtual address lies in; None where the file does not say."""
        number = bisect_right(self._numbers, address, key=lambda number: self._row(number)[0]) - 1
        if number < 0:
            return None
        start, entry = self._row(number)
        distance, size = _FDE.unpack(self._elf.code(entry, _FDE.size))
        # Where the FDE does not name the function so, it is encoded otherwise: its size is unknown then.
        said = entry + _PLACE + distance == start and address < start + size
        return range(start, start + size) if said else None

    def _row(self, number: int) -> tuple[int, int]:
        """(function, its FDE), virtual addresses; read when asked for, as a big program has a million."""
        row = self._elf.code(self._table + _HEADER.size + number * _ROW.size, _ROW.size)
        start, fde = _ROW.unpack(row)
        return self._table + start, self._table + fde

    @cached_property
    def _table(self) -> int:
        section = self._elf.section(_SECTION)
        return section.address if section else 0

    @cached_property
    def _numbers(self) -> range:
        """Of the rows, which are sorted by function."""
        section = self._elf.section(_SECTION)
        if section is None or section.size < _HEADER.size:
            return range(0)
        *encodings, _, count = _HEADER.unpack(self._elf.code(section.address, _HEADER.size))
        if tuple(encodings) != _USUAL or section.size < _HEADER.size + count * _ROW.size:
            return range(0)
        return range(count)
