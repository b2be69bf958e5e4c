"""Symbols, addresses and code of an ELF file, each read with one `pread`.

Written here because pyelftools builds an object a symbol: 263 ms for libcrypto, where this needs a few.
Read and not mapped: whoever owns the file may cut it short at any time, and a mapping would answer with
SIGBUS, which ends the process, where a read only comes back short. Nothing in the file is trusted.

Layouts: System V ABI (gABI), chapters 4 and 5; versions and notes: Linux Standard Base 5.0; `elf.h`.
"""

from __future__ import annotations

import os
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from pellucid.attach.files import open_regular
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_IDENT = b"\x7fELF\x02\x01\x01"  # 64 bits, little endian, version 1
_MACHINES = {62: "x86_64", 183: "aarch64"}
_LOADABLE_TYPES = (2, 3)  # ET_EXEC, ET_DYN
_LARGEST_TABLE = 1 << 30  # bytes; the largest known (an unstripped Chromium) has tables of 0.3 GiB

SHARED = 256
"""Bytes by which pieces of a file's constants overlap, so that no text shorter than this is torn apart."""
_PIECE = 1 << 22

_HEADER = Struct(
    "<16xHH12xQQ6xHHHHH"
)  # type, machine, phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx
_SEGMENT = Struct("<IIQQ8xQ16x")  # type, flags, offset, vaddr, filesz
_SECTION = Struct("<II8xQQQI20x")  # name, type, address, offset, size, link
_SYMBOL = Struct("<IBxHQQ")  # name, info, shndx, value, size
_RELOCATION = Struct("<QIIq")  # offset, type, symbol, addend
_DYNAMIC = Struct("<QQ")  # tag, value
_VERSION = Struct("<H")
_NOTE = Struct("<III")  # namesz, descsz, type

_PT_LOAD, _PF_X = 1, 1
_SHT_SYMTAB, _SHT_RELA, _SHT_DYNAMIC, _SHT_NOBITS, _SHT_DYNSYM, _SHT_VERSYM = 2, 4, 6, 8, 11, 0x6FFFFFFF
_STT_FUNC = 2
_VERSYM_HIDDEN = 0x8000
_DT_NEEDED, _DT_SONAME = 1, 14
_NT_GNU_BUILD_ID = 3


class Symbol(NamedTuple):
    """A function that the file defines."""

    name: str
    address: int
    """Virtual, as linked: before the loader adds its base."""
    size: int
    """Bytes of code; 0 where the file does not say."""
    offset: int
    """Where the code lies in the file: what a uprobe takes."""


class Segment(NamedTuple):
    """A part of the file that the loader maps (PT_LOAD)."""

    flags: int
    offset: int
    address: int
    size: int
    """Bytes in the file; what memory has beyond them is zero."""

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.address <= address < self.address + self.size


class Section(NamedTuple):
    """A part of the file as the linker sees it."""

    name: str
    type: int
    address: int
    offset: int
    size: int
    link: int


class Elf:
    """An open ELF64 file for x86_64 or aarch64; a context manager.

    Every method raises `PellucidError` where the file contradicts itself or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = open_regular(path)
        except OSError as error:
            raise PellucidError(f"cannot open {path}: {error.strerror}") from error
        try:
            self._size = os.fstat(self._fd).st_size
            self._contents: dict[Section, bytes] = {}
            self._asked: dict[str, Symbol | None] = {}
            self._read_headers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file descriptor back; nothing can be read afterwards."""
        os.close(self._fd)

    # --- symbols -----------------------------------------------------------------------------------

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
        found = self._find(_SHT_DYNSYM, wanted)
        return found | self._find(_SHT_SYMTAB, wanted - found.keys())

    def imports(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that the file takes from other libraries (undefined in .dynsym)."""
        section = next(self._of_type(_SHT_DYNSYM), None)
        if section is None:
            return set()
        strings = self._content(self._linked(self._sections, section.link))
        wanted = {position: name for name in names for position in _positions(strings, name)}
        return {
            wanted[position]
            for position, _, index, _, _ in self._entries(section, _SYMBOL)
            if index == 0 and position in wanted
        }

    def function_at(self, address: int) -> Symbol | None:
        """The function that begins at this virtual address, or None where no symbol says so."""
        for section in self._of_type(_SHT_DYNSYM, _SHT_SYMTAB):
            for name, info, index, value, size in self._entries(section, _SYMBOL):
                if value == address and _is_function(info, index):
                    return self._symbol(self._string(section, name), value, size)
        return None

    def imported(self, slot: int) -> str | None:
        """The symbol whose address the dynamic linker stores at virtual address `slot`, by name."""
        if slot not in self._imports:
            return None
        relocations, number = self._imports[slot]
        return self._symbol_name(relocations, number)

    # --- addresses and code ------------------------------------------------------------------------

    def offset(self, address: int) -> int:
        """The file offset of a virtual address."""
        segment = self._segment(address)
        return address - segment.address + segment.offset

    def address(self, offset: int) -> int:
        """The virtual address of a file offset."""
        for segment in self._segments:
            if segment.offset <= offset < segment.offset + segment.size:
                return offset - segment.offset + segment.address
        raise self._malformed(f"no segment holds file offset {offset:#x}")

    def code(self, address: int, size: int) -> bytes:
        """`size` bytes from a virtual address on."""
        return self._read(self.offset(address), size)

    def segments(self, *, executable: bool) -> list[Segment]:
        """What the loader maps for execution, or what it maps otherwise."""
        return [segment for segment in self._segments if bool(segment.flags & _PF_X) is executable]

    def executable(self, address: int) -> bool:
        """Whether the loader maps this virtual address for execution."""
        return any(address in segment and segment.flags & _PF_X for segment in self._segments)

    def section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return next((section for section in self._sections if section.name == name), None)

    def plt(self, address: int) -> bool:
        """Whether this virtual address lies in a procedure linkage table: a stub, not a function."""
        return any(
            section.name.startswith(".plt") and 0 <= address - section.address < section.size
            for section in self._sections
        )

    # --- what the file says about itself ----------------------------------------------------------

    @cached_property
    def build_id(self) -> str | None:
        """The linker's identifier of this build, in hex; None where there is none."""
        for section in self._sections:
            if section.name == ".note.gnu.build-id":
                return self._build_id(self._content(section))
        return None

    @cached_property
    def soname(self) -> str | None:
        """The name that programs linked with this library ask for; None where there is none."""
        return next(self._dynamic(_DT_SONAME), None)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The libraries that this file asks for."""
        return tuple(self._dynamic(_DT_NEEDED))

    def constants(self) -> Iterator[bytes]:
        """The file's constants, its texts among them (.rodata), in pieces that share `SHARED` bytes."""
        for section in self._sections:
            if section.name.startswith(".rodata") and section.type != _SHT_NOBITS:
                for start in range(0, section.size, _PIECE):
                    size = min(_PIECE + SHARED, section.size - start)
                    yield self._read(section.offset + start, size)

    # --- reading -----------------------------------------------------------------------------------

    def _malformed(self, what: str) -> PellucidError:
        return PellucidError(f"{self.path} is malformed: {what}")

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise self._malformed(f"{size} bytes at {offset:#x} lie outside the file ({self._size} bytes)")
        if size > _LARGEST_TABLE:
            raise self._malformed(f"{size} bytes at {offset:#x} are more than any table needs")
        data = os.pread(self._fd, size, offset)
        if len(data) != size:
            raise self._malformed(f"it became shorter while it was read ({len(data)} of {size} bytes)")
        return data

    def _read_headers(self) -> None:
        if self._size < len(_IDENT) or self._read(0, 4) != _IDENT[:4]:
            raise PellucidError(f"{self.path} is not an ELF file")
        if self._read(0, len(_IDENT)) != _IDENT:
            raise PellucidError(
                f"{self.path} is not a 64-bit little-endian ELF file: no other kind is supported"
            )
        header = _HEADER.unpack(self._read(0, _HEADER.size))
        type, machine, phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx = header
        if machine not in _MACHINES:
            raise PellucidError(
                f"{self.path} is for ELF machine {machine}: only x86_64 and aarch64 are supported"
            )
        if type not in _LOADABLE_TYPES:
            raise PellucidError(
                f"{self.path} is neither an executable nor a shared library (ELF type {type})"
            )
        self.machine = _MACHINES[machine]
        self._segments = self._read_segments(phoff, phentsize, phnum)
        self._sections = self._read_sections(shoff, shentsize, shnum, shstrndx)

    def _headers(self, layout: Struct, offset: int, size: int, count: int) -> Iterator[tuple[int, ...]]:
        if count and size != layout.size:
            raise self._malformed(f"its headers at {offset:#x} have {size} bytes each, not {layout.size}")
        return layout.iter_unpack(self._read(offset, size * count) if count else b"")

    def _read_segments(self, offset: int, size: int, count: int) -> list[Segment]:
        headers = self._headers(_SEGMENT, offset, size, count)
        return [Segment(*header) for type, *header in headers if type == _PT_LOAD]

    def _read_sections(self, offset: int, size: int, count: int, names: int) -> list[Section]:
        headers = list(self._headers(_SECTION, offset, size, count))
        if not headers:
            return []
        sections = [Section("", *header[1:]) for header in headers]
        strings = self._content(self._linked(sections, names))
        return [
            section._replace(name=_text(strings, header[0]))
            for section, header in zip(sections, headers, strict=True)
        ]

    def _linked(self, sections: list[Section], index: int) -> Section:
        if index >= len(sections):
            raise self._malformed(f"it refers to section {index} of {len(sections)}")
        return sections[index]

    def _of_type(self, *types: int) -> Iterator[Section]:
        return (section for section in self._sections if section.type in types)

    def _content(self, section: Section) -> bytes:
        if section not in self._contents:
            size = 0 if section.type == _SHT_NOBITS else section.size
            self._contents[section] = self._read(section.offset, size)
        return self._contents[section]

    def _entries(self, section: Section, layout: Struct) -> Iterator[tuple[int, ...]]:
        content = self._content(section)
        if len(content) % layout.size:
            raise self._malformed(f"{section.name} is not a whole number of {layout.size}-byte entries")
        return layout.iter_unpack(content)

    def _string(self, section: Section, position: int) -> str:
        return _text(self._content(self._linked(self._sections, section.link)), position)

    # --- symbols, behind the scenes ----------------------------------------------------------------

    def _find(self, type: int, names: set[str]) -> dict[str, Symbol]:
        """Of each name the default version, else any other, in the first section of that type."""
        section = next(self._of_type(type), None)
        if section is None or not names:
            return {}
        strings = self._content(self._linked(self._sections, section.link))
        wanted = {position: name for name in names for position in _positions(strings, name)}
        if not wanted:  # most files: reading their symbols too would take ten times as long
            return {}
        found: dict[str, Symbol] = {}
        for number, (position, info, index, value, size) in enumerate(self._entries(section, _SYMBOL)):
            name = wanted.get(position)
            if name is None or not _is_function(info, index):
                continue
            if name not in found or (type == _SHT_DYNSYM and not self._hidden(number)):
                found[name] = self._symbol(name, value, size)
        return found

    def _hidden(self, number: int) -> bool:
        """Whether this entry of .dynsym is a version that only programs linked long ago ask for."""
        versions = next(self._of_type(_SHT_VERSYM), None)
        if versions is None:
            return False
        content = self._content(versions)
        if (number + 1) * _VERSION.size > len(content):
            raise self._malformed(f"{versions.name} has no entry for symbol {number}")
        version: int = _VERSION.unpack_from(content, number * _VERSION.size)[0]
        return bool(version & _VERSYM_HIDDEN)

    @cached_property
    def _imports(self) -> dict[int, tuple[Section, int]]:
        """By slot: the section of the relocation that fills it, and the number of its symbol."""
        return {
            slot: (section, number)
            for section in self._of_type(_SHT_RELA)
            for slot, _, number, _ in self._entries(section, _RELOCATION)
            if number
        }

    def _symbol(self, name: str, address: int, size: int) -> Symbol:
        return Symbol(name, address, size, self.offset(address))

    def _symbol_name(self, relocations: Section, number: int) -> str:
        table = self._linked(self._sections, relocations.link)
        content = self._content(table)
        if (number + 1) * _SYMBOL.size > len(content):
            raise self._malformed(f"{relocations.name} refers to symbol {number}, which {table.name} has not")
        return self._string(table, _SYMBOL.unpack_from(content, number * _SYMBOL.size)[0])

    def _segment(self, address: int) -> Segment:
        for segment in self._segments:
            if address in segment:
                return segment
        raise self._malformed(f"no segment holds address {address:#x}")

    def _dynamic(self, wanted: int) -> Iterator[str]:
        for section in self._of_type(_SHT_DYNAMIC):
            for tag, value in self._entries(section, _DYNAMIC):
                if tag == wanted:
                    yield self._string(section, value)

    def _build_id(self, note: bytes) -> str:
        if len(note) >= _NOTE.size:
            name_size, size, type = _NOTE.unpack_from(note)
            start = _NOTE.size + name_size
            if (
                note[_NOTE.size : start] == b"GNU\0"
                and type == _NT_GNU_BUILD_ID
                and start + size <= len(note)
            ):
                return note[start : start + size].hex()
        raise self._malformed("its build-id note is none")


def _is_function(info: int, index: int) -> bool:
    """Whether a symbol is a function (the low half of `info`) that this file defines (`index`)."""
    return info & 0xF == _STT_FUNC and index != 0


def _positions(strings: bytes, name: str) -> Iterator[int]:
    """Where `name` stands in a string table; also as the end of a longer name, which linkers share."""
    needle = name.encode() + b"\0"
    position = strings.find(needle)
    while position >= 0:
        yield position
        position = strings.find(needle, position + 1)


def _text(strings: bytes, position: int) -> str:
    """The name at a place of a string table; bytes that are not UTF-8 show as escapes."""
    end = strings.find(b"\0", position)
    return strings[position : end if end >= 0 else len(strings)].decode(errors="backslashreplace")
