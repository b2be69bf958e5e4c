"""Where a file's code refers to a place: searched by bytes, since disassembling 200 MB would take minutes.

An instruction that names a place relative to itself ends with the distance, 32 bits from its own end
(Intel SDM volume 2, 2.2.1.6). Its opcode and the distance's upper half, which hardly changes within a
chunk of code, make a pattern that little else matches. What else does is not filtered out here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.attach.symbols import Elf

LEA_RCX = b"\x48\x8d\x0d"  # lea place(%rip),%rcx: the fourth argument
MOV_ECX = b"\xb9"  # mov $place,%ecx: the same in programs that are not relocated
LEA_RDX = b"\x48\x8d\x15"  # the third
MOV_EDX = b"\xba"
CALL = b"\xe8"
_DISTANCE = 4  # bytes
_CHUNK = 1 << 20
_LONGEST_TEXT = 4096


class Reference(NamedTuple):
    """An instruction and the place that it names; both are virtual addresses."""

    place: int
    target: int


def texts_ending_with(elf: Elf, endings: tuple[bytes, ...]) -> list[int]:
    """Virtual addresses of the zero-terminated texts in the file's data that have one of these endings."""
    pattern = re.compile(b"|".join(re.escape(ending + b"\0") for ending in endings))
    return sorted(
        {
            address + _beginning(data, match.start())
            for address, data in _chunks(elf, executable=False, overlap=_LONGEST_TEXT)
            for match in pattern.finditer(data)
        }
    )


def relative_references(elf: Elf, opcode: bytes, targets: range) -> Iterator[Reference]:
    """Every place in the file's code that reads as `opcode` and a distance that leads into `targets`."""
    size = len(opcode) + _DISTANCE
    for address, code in _chunks(elf, executable=True, overlap=size - 1):
        for match in _pattern(opcode, address, len(code), targets).finditer(code):
            distance = int.from_bytes(match[0][-_DISTANCE:], "little", signed=True)
            target = address + match.end() + distance
            if target in targets:
                yield Reference(address + match.start(), target)


def absolute_references(elf: Elf, opcode: bytes, target: int) -> Iterator[Reference]:
    """Every place in the file's code that reads as `opcode` and the address itself, in 32 bits."""
    if target >= 1 << 32:
        return
    pattern = re.compile(re.escape(opcode + target.to_bytes(_DISTANCE, "little")))
    for address, code in _chunks(elf, executable=True, overlap=len(opcode) + _DISTANCE - 1):
        for match in pattern.finditer(code):
            yield Reference(address + match.start(), target)


def _pattern(opcode: bytes, address: int, length: int, targets: range) -> re.Pattern[bytes]:
    """What an instruction of this chunk that leads into `targets` looks like, and little else."""
    uppers = range((targets.start - address - length) >> 16, ((targets.stop - address) >> 16) + 1)
    third, fourth = {upper & 0xFF for upper in uppers}, {upper >> 8 & 0xFF for upper in uppers}
    return re.compile(re.escape(opcode) + b".." + _one_of(third) + _one_of(fourth), re.DOTALL)


def _one_of(values: set[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(values)) + b"]"


def _beginning(data: bytes, position: int) -> int:
    """Where the printable text that goes on at `position` begins."""
    while position > 0 and 0x20 <= data[position - 1] < 0x7F:
        position -= 1
    return position


def _chunks(elf: Elf, *, executable: bool, overlap: int) -> Iterator[tuple[int, bytes]]:
    """What is loaded as code, or as anything else, with its address: each piece with some of the next."""
    for segment in elf.segments(executable=executable):
        for start in range(0, segment.size, _CHUNK):
            size = min(_CHUNK + overlap, segment.size - start)
            yield segment.address + start, elf.code(segment.address + start, size)
