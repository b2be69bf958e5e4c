"""Symbols of an ELF file: which functions it defines, and which it takes from others.

Written here because pyelftools builds an object a symbol: 263 ms for libcrypto, where this needs a few.
Tables are read in pieces and never kept: those of a big program would be hundreds of megabytes.

Layouts: System V ABI (gABI), chapters 4 and 5; versions: Linux Standard Base 5.0; `elf.h`.
"""

from __future__ import annotations

from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.elf import (
    SHARED,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    SHT_VERSYM,
    ElfFile,
    Section,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PIECE = 1 << 22  # bytes of a string table
# A file may be made to cost memory or time; real ones have some hundred places at which a name that is
# looked for stands, and some ten thousand imports.
_MOST_PLACES = 4096
_MOST_IMPORTS = 1 << 18

_SYMBOL = Struct("<IBxHQQ")  # name, info, shndx, value, size
_RELOCATION = Struct("<QIIq")  # offset, type, symbol, addend
_DYNAMIC = Struct("<QQ")  # tag, value
_VERSION = Struct("<H")

_STT_OBJECT, _STT_FUNC = 1, 2
_VERSYM_HIDDEN = 0x8000
_DT_NEEDED, _DT_SONAME = 1, 14


class Symbol(NamedTuple):
    """A function that the file defines."""

    name: str
    address: int
    """Virtual, as linked: before the loader adds its base."""
    size: int
    """Bytes of code; 0 where the file does not say."""
    offset: int
    """Where the code lies in the file: what a uprobe takes."""


class Elf(ElfFile):
    """An open ELF file with its symbols. Raises `PellucidError` as `ElfFile` does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._asked: dict[str, Symbol | None] = {}

    def symbol(self, name: str) -> Symbol | None:
        """The function of that name, or None: see `symbols`."""
        if name not in self._asked:
            self._asked[name] = self.symbols([name]).get(name)
        return self._asked[name]

    def symbols(self, names: Iterable[str]) -> dict[str, Symbol]:
        """Those of the functions `names` that the file defines, by name.

        What is exported (.dynsym) comes before what is only in .symtab; of several versions of a
        symbol the default one is meant. Indirect functions (STT_GNU_IFUNC) are none: what lies
        at their address is a resolver.
        """
        wanted = set(names)
        found = self._find(SHT_DYNSYM, wanted)
        return found | self._find(SHT_SYMTAB, wanted - found.keys())

    def variables(self, names: Iterable[str]) -> dict[str, int]:
        """The virtual addresses of those of the variables `names` that the file exports (.dynsym), by name."""
        section = self._first(SHT_DYNSYM)
        wanted = self._places(section, names) if section else {}
        if section is None or not wanted:
            return {}
        return {
            wanted[position]: value
            for position, info, index, value, _ in self._entries(section, _SYMBOL)
            if position in wanted and info & 0xF == _STT_OBJECT and index != 0
        }

    def imports(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that the file takes from other libraries (undefined in .dynsym)."""
        section = self._first(SHT_DYNSYM)
        wanted = self._places(section, names) if section else {}
        if section is None or not wanted:
            return set()
        return {
            wanted[position]
            for position, _, index, _, _ in self._entries(section, _SYMBOL)
            if index == 0 and position in wanted
        }

    def function_at(self, address: int) -> Symbol | None:
        """The function that begins at this virtual address, or None where no symbol says so."""
        for section in self._of_type(SHT_DYNSYM, SHT_SYMTAB):
            for name, info, index, value, size in self._entries(section, _SYMBOL):
                if value == address and _is_function(info, index):
                    return self._symbol(self._text(self._strings(section), name), value, size)
        return None

    def imported(self, slot: int) -> str | None:
        """The symbol whose address the dynamic linker stores at virtual address `slot`, by name."""
        if slot not in self._imports:
            return None
        relocations, number = self._imports[slot]
        table = self._linked(self._sections, relocations.link, SHT_DYNSYM, SHT_SYMTAB)
        return self._text(self._strings(table), self._entry(table, _SYMBOL, number)[0])

    def slots(self, name: str) -> list[int]:
        """The virtual addresses at which the dynamic linker stores the address of this symbol."""
        return [slot for slot in self._imports if self.imported(slot) == name]

    @cached_property
    def soname(self) -> str | None:
        """The name that programs linked with this library ask for; None where there is none."""
        return next(iter(self._dynamic(_DT_SONAME)), None)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The libraries that this file asks for."""
        return tuple(self._dynamic(_DT_NEEDED))

    # --- behind the scenes -------------------------------------------------------------------------

    def _of_type(self, *types: int) -> Iterator[Section]:
        return (section for section in self._sections if section.type in types)

    def _first(self, type: int) -> Section | None:
        return next(self._of_type(type), None)

    def _strings(self, section: Section) -> Section:
        return self._linked(self._sections, section.link, SHT_STRTAB)

    def _symbol(self, name: str, address: int, size: int) -> Symbol:
        return Symbol(name, address, size, self.offset(address))

    def _find(self, type: int, names: set[str]) -> dict[str, Symbol]:
        """Of each name the default version, else any other, in the first section of that type."""
        section = self._first(type)
        if section is None or not names:
            return {}
        wanted = self._places(section, names)
        if not wanted:  # most files: reading their symbols too would take ten times as long
            return {}
        found: dict[str, Symbol] = {}
        matches = 0
        for number, (position, info, index, value, size) in enumerate(self._entries(section, _SYMBOL)):
            name = wanted.get(position)
            if name is None or not _is_function(info, index):
                continue
            matches += 1
            if matches > _MOST_PLACES:
                raise self._malformed(f"{section.name} has the same few names more than {_MOST_PLACES} times")
            if name not in found or (type == SHT_DYNSYM and not self._hidden(number)):
                found[name] = self._symbol(name, value, size)
        return found

    def _places(self, section: Section, names: Iterable[str]) -> dict[int, str]:
        """Where names stand in the strings of a section; also as the end of a longer one, which linkers share."""
        strings = self._strings(section)
        needles = {name: name.encode() + b"\0" for name in names}
        found: dict[int, str] = {}
        for start, piece in self._pieces(strings, _PIECE, overlap=SHARED):
            for name, needle in needles.items():
                found |= dict.fromkeys((start + place for place in _occurrences(piece, needle)), name)
            if len(found) > _MOST_PLACES:
                raise self._malformed(f"{strings.name} has the same few names more than {_MOST_PLACES} times")
        return found

    @cached_property
    def _versions(self) -> Section | None:
        return self._first(SHT_VERSYM)

    def _hidden(self, number: int) -> bool:
        """Whether this entry of .dynsym is a version that only programs linked long ago ask for."""
        if self._versions is None:
            return False
        return bool(self._entry(self._versions, _VERSION, number)[0] & _VERSYM_HIDDEN)

    @cached_property
    def _imports(self) -> dict[int, tuple[Section, int]]:
        """By slot: the section of the relocation that fills it, and the number of its symbol."""
        found: dict[int, tuple[Section, int]] = {}
        for section in self._of_type(SHT_RELA):
            for slot, _, number, _ in self._entries(section, _RELOCATION):
                if number:
                    found[slot] = section, number
                    if len(found) > _MOST_IMPORTS:
                        raise self._malformed(f"it imports more than {_MOST_IMPORTS} symbols")
        return found

    def _dynamic(self, wanted: int) -> list[str]:
        found: list[str] = []
        for section in self._of_type(SHT_DYNAMIC):
            for tag, value in self._entries(section, _DYNAMIC):
                if tag == wanted:
                    found.append(self._text(self._strings(section), value))
                    if len(found) > _MOST_PLACES:
                        raise self._malformed(f"{section.name} names more than {_MOST_PLACES} libraries")
        return found


def _is_function(info: int, index: int) -> bool:
    """Whether a symbol is a function (the low half of `info`) that this file defines (`index`)."""
    return info & 0xF == _STT_FUNC and index != 0


def _occurrences(text: bytes, needle: bytes) -> Iterator[int]:
    position = text.find(needle)
    while position >= 0:
        yield position
        position = text.find(needle, position + 1)
