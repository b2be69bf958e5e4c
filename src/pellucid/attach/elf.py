"""An ELF file as its headers divide it: what the loader maps, what the linker names, and reading in it.

Read and not mapped: whoever owns the file may cut it short at any time, and a mapping would answer with
SIGBUS, which ends the process, where a read only comes back short. Nothing in the file is trusted: anybody
may have made it to cost memory or time, so both have limits, and what is beyond them is refused.

Layouts: System V ABI (gABI), chapters 4 and 5; `elf.h`.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from pellucid.attach.files import open_regular
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARED = 256
"""Bytes by which pieces of a file overlap where text is looked for, so that none shorter than this is torn apart."""

SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_DYNAMIC, SHT_NOBITS, SHT_DYNSYM = 2, 3, 4, 6, 8, 11
SHT_VERSYM = 0x6FFFFFFF
_TABLES = (SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_DYNAMIC, SHT_DYNSYM, SHT_VERSYM)

# Beyond any file that is known. The largest tables, 0.3 GiB, are those of a Chromium with all symbols.
_MOST_IN_TABLES = 1 << 29  # bytes
_MOST_SECTIONS = 4096
_MOST_SEGMENTS = 256
_PIECE = 1 << 22  # bytes that are read at once where much is read
_MOST_AT_ONCE = 1 << 24
_LONGEST_NAME = 4096
_LONGEST_S = 20.0  # of processor time; finding functions by code in 300 MB takes a few seconds

_IDENT = b"\x7fELF\x02\x01\x01"  # 64 bits, little endian, version 1
_MACHINES = {62: "x86_64", 183: "aarch64"}
_LOADABLE_TYPES = (2, 3)  # ET_EXEC, ET_DYN
_HEADER = Struct(
    "<16xHH4xQQQ6xHHHHH"
)  # type, machine, entry, phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx
_SEGMENT = Struct("<IIQQ8xQ16x")  # type, flags, offset, vaddr, filesz
_SECTION = Struct("<II8xQQQI20x")  # name, type, address, offset, size, link
_PT_LOAD, _PF_X = 1, 1


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


class ElfFile:
    """An open ELF64 file for x86_64 or aarch64; a context manager.

    Every method raises `PellucidError` where the file contradicts itself, is cut short, or goes beyond a limit:
    20 seconds of its thread's processor time, from the opening on, is one of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = time.thread_time() + _LONGEST_S
        try:
            self._fd = open_regular(path)
        except OSError as error:
            raise PellucidError(f"cannot open {path}: {error.strerror}") from error
        try:
            self._size = os.fstat(self._fd).st_size
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

    # --- addresses and code ------------------------------------------------------------------------

    def offset(self, address: int) -> int:
        """The file offset of a virtual address."""
        segment = self._segment(address)
        if segment is None:
            raise self._malformed(f"no segment holds address {address:#x}")
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
        segment = self._segment(address)
        return segment is not None and bool(segment.flags & _PF_X)

    def section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return next((section for section in self._sections if section.name == name), None)

    def plt(self, address: int) -> bool:
        """Whether this virtual address lies in a procedure linkage table: a stub, not a function."""
        return any(0 <= address - section.address < section.size for section in self._stubs)

    def constants(self) -> Iterator[bytes]:
        """The file's constants, its texts among them (.rodata), in pieces that share `SHARED` bytes."""
        for section in self._sections:
            if section.name.startswith(".rodata"):
                for _, piece in self._pieces(section, _PIECE, overlap=SHARED):
                    yield piece

    # --- reading -----------------------------------------------------------------------------------

    def _malformed(self, what: str) -> PellucidError:
        return PellucidError(f"{self.path} is malformed: {what}")

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise self._malformed(f"{size} bytes at {offset:#x} lie outside the file ({self._size} bytes)")
        if size > _MOST_AT_ONCE:
            raise self._malformed(f"{size} bytes at {offset:#x} are more than any function has")
        if time.thread_time() > self._end:
            raise PellucidError(f"{self.path} is left alone: to read it took more than {_LONGEST_S:g} s")
        data = os.pread(self._fd, size, offset)
        while len(data) < size and (more := os.pread(self._fd, size - len(data), offset + len(data))):
            data += more  # 9p and others hand out less at a time (read(2))
        if len(data) != size:
            raise self._malformed(f"it became shorter while it was read ({len(data)} of {size} bytes)")
        return data

    def _pieces(self, section: Section, size: int, *, overlap: int = 0) -> Iterator[tuple[int, bytes]]:
        """What a section holds: (where in it, up to `size` bytes and then `overlap` of the next piece)."""
        length = 0 if section.type == SHT_NOBITS else section.size
        for start in range(0, length, size):
            yield start, self._read(section.offset + start, min(size + overlap, length - start))

    def _entries(self, section: Section, layout: Struct) -> Iterator[tuple[int, ...]]:
        if section.size % layout.size:
            raise self._malformed(f"{section.name} is not a whole number of {layout.size}-byte entries")
        for _, piece in self._pieces(section, _PIECE // layout.size * layout.size):
            yield from layout.iter_unpack(piece)

    def _entry(self, section: Section, layout: Struct, number: int) -> tuple[int, ...]:
        if section.type == SHT_NOBITS or (number + 1) * layout.size > section.size:
            raise self._malformed(f"{section.name} has no entry {number}")
        return layout.unpack(self._read(section.offset + number * layout.size, layout.size))

    def _text(self, strings: Section, position: int) -> str:
        """The name at a place of a string table."""
        if strings.type == SHT_NOBITS or position >= strings.size:
            raise self._malformed(f"{strings.name} has no name at {position}")
        return _name(self._read(strings.offset + position, min(_LONGEST_NAME, strings.size - position)), 0)

    # --- headers -----------------------------------------------------------------------------------

    def _read_headers(self) -> None:
        if self._size < len(_IDENT) or self._read(0, 4) != _IDENT[:4]:
            raise PellucidError(f"{self.path} is not an ELF file")
        if self._read(0, len(_IDENT)) != _IDENT:
            raise PellucidError(
                f"{self.path} is not a 64-bit little-endian ELF file: no other kind is supported"
            )
        header = _HEADER.unpack(self._read(0, _HEADER.size))
        type, machine, entry, phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx = header
        if machine not in _MACHINES:
            raise PellucidError(
                f"{self.path} is for ELF machine {machine}: only x86_64 and aarch64 are supported"
            )
        if type not in _LOADABLE_TYPES:
            raise PellucidError(
                f"{self.path} is neither an executable nor a shared library (ELF type {type})"
            )
        if phnum > _MOST_SEGMENTS or shnum > _MOST_SECTIONS:
            raise self._malformed(f"{phnum} segments and {shnum} sections are more than any file has")
        self.machine = _MACHINES[machine]
        self.entry = entry
        self._segments = self._read_segments(phoff, phentsize, phnum)
        self._sections = self._read_sections(shoff, shentsize, shnum, shstrndx)

    def _headers(self, layout: Struct, offset: int, size: int, count: int) -> Iterator[tuple[int, ...]]:
        if count and size != layout.size:
            raise self._malformed(f"its headers at {offset:#x} have {size} bytes each, not {layout.size}")
        return layout.iter_unpack(self._read(offset, size * count) if count else b"")

    def _read_segments(self, offset: int, size: int, count: int) -> list[Segment]:
        headers = self._headers(_SEGMENT, offset, size, count)
        return sorted(
            (Segment(*header) for type, *header in headers if type == _PT_LOAD),
            key=lambda segment: segment.address,
        )

    def _read_sections(self, offset: int, size: int, count: int, names: int) -> list[Section]:
        headers = list(self._headers(_SECTION, offset, size, count))
        if not headers:
            return []
        sections = [Section("", *header[1:]) for header in headers]
        in_tables = sum(section.size for section in sections if section.type in _TABLES)
        if in_tables > _MOST_IN_TABLES:
            raise self._malformed(f"{in_tables} bytes of symbols and the like are more than any file has")
        table = self._linked(sections, names, SHT_STRTAB)
        strings = self._read(table.offset, 0 if table.type == SHT_NOBITS else table.size)
        return [
            section._replace(name=_name(strings, header[0]))
            for section, header in zip(sections, headers, strict=True)
        ]

    def _linked(self, sections: list[Section], index: int, *types: int) -> Section:
        """The section that another refers to; it may have been left out (SHT_NOBITS), as in debug files."""
        if index >= len(sections):
            raise self._malformed(f"it refers to section {index} of {len(sections)}")
        section = sections[index]
        if section.type not in {*types, SHT_NOBITS}:
            raise self._malformed(f"section {index} is of type {section.type}, not what refers to it needs")
        return section

    def _segment(self, address: int) -> Segment | None:
        number = bisect_right(self._segments, address, key=lambda segment: segment.address) - 1
        found = self._segments[number] if number >= 0 else None
        return found if found and address in found else None

    @cached_property
    def _stubs(self) -> list[Section]:
        return [section for section in self._sections if section.name.startswith(".plt")]


def _name(strings: bytes, position: int) -> str:
    """The text up to the next zero byte; bytes that are not UTF-8 show as escapes."""
    return strings[position : position + _LONGEST_NAME].split(b"\0", 1)[0].decode(errors="backslashreplace")
