"""Where a file's code refers to a place: searched by bytes, since disassembling 200 MB would take minutes.

An instruction that names a place relative to itself ends with the distance, 32 bits from its own end
(Intel SDM volume 2, 2.2.1.6). Its opcode and the distance's upper half, which hardly changes within a
chunk of code, make a pattern that little else matches. What else does is not filtered out here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pellucid.attach.symbols import Elf

LEA_RSI = b"\x48\x8d\x35"  # lea place(%rip),%rsi: the second argument
MOV_ESI = b"\xbe"  # mov $place,%esi: the same in programs that are not relocated
LEA_RCX = b"\x48\x8d\x0d"  # the fourth
MOV_ECX = b"\xb9"
LEA_RDX = b"\x48\x8d\x15"  # the third
MOV_EDX = b"\xba"
CALL = b"\xe8"
JUMP = b"\xe9"
_DISTANCE = 4  # bytes
_CHUNK = 1 << 20
_LONGEST_TEXT = 4096

# A file may be made to cost time; real ones have a few texts and some hundred references.
_MOST_TEXTS = 64
_MOST_REFERENCES = 1 << 16


class Reference(NamedTuple):
    """An instruction and the place that it names; both are virtual addresses."""

    place: int
    target: int


def texts_ending_with(elf: Elf, endings: tuple[bytes, ...]) -> list[int]:
    """Virtual addresses of the zero-terminated texts in the file's data that have one of these endings.

    Raises `PellucidError` where there are too many for one to mean anything.
    """
    pattern = re.compile(b"|".join(re.escape(ending + b"\0") for ending in endings))
    found: set[int] = set()
    for executable in (False, True):  # old linkers put constants beside the code
        for address, data in _chunks(elf, executable=executable, overlap=_LONGEST_TEXT):
            for match in pattern.finditer(data):
                found.add(address + _beginning(data, match.start()))
                if len(found) > _MOST_TEXTS:
                    raise PellucidError(
                        f"it has more than {_MOST_TEXTS} texts that end with {endings[0].decode()}"
                    )
        if found:
            break
    return sorted(found)


def second_arguments(elf: Elf, targets: Sequence[int]) -> list[Reference]:
    """Where code loads one of these addresses, which are sorted, as a second argument."""
    ranges = [range(target, target + 1) for target in targets]
    return [*relative_references(elf, LEA_RSI, ranges), *absolute_references(elf, MOV_ESI, targets)]


def loads(elf: Elf, targets: Sequence[int], relative: bytes, absolute: bytes) -> list[int]:
    """Where code loads one of these addresses, by its distance or by itself, each with its opcode."""
    ranges = [range(target, target + 1) for target in sorted(targets)]
    found = (*relative_references(elf, relative, ranges), *absolute_references(elf, absolute, targets))
    return [reference.place for reference in found]


def calls(elf: Elf, function: int) -> list[int]:
    """Where code calls the function at this address."""
    return [place for place, _ in relative_references(elf, CALL, [range(function, function + 1)])]


def jumps(elf: Elf, function: int) -> list[int]:
    """Where code leaves its work to the function at this address (a tail call)."""
    return [place for place, _ in relative_references(elf, JUMP, [range(function, function + 1)])]


def relative_references(elf: Elf, opcode: bytes, targets: Sequence[range]) -> list[Reference]:
    """Every place in the file's code that reads as `opcode` and a distance that leads into one of `targets`.

    These are sorted and apart: the code is read once for all of them. Raises `PellucidError` for too many places.
    """
    if not targets:
        return []
    found = []
    for address, code in _chunks(elf, executable=True, overlap=len(opcode) + _DISTANCE - 1):
        for match in _pattern(opcode, address, len(code), targets).finditer(code):
            distance = int.from_bytes(match[0][-_DISTANCE:], "little", signed=True)
            target = address + match.end() + distance
            if _within(target, targets):
                found.append(Reference(address + match.start(), target))
                _check_number(found)
    return found


def absolute_references(elf: Elf, opcode: bytes, targets: Iterable[int]) -> list[Reference]:
    """Every place in the file's code that reads as `opcode` and one of the addresses itself, in 32 bits."""
    short = [target.to_bytes(_DISTANCE, "little") for target in targets if target < 1 << 32]
    if not short:
        return []
    pattern = re.compile(re.escape(opcode) + b"(" + b"|".join(map(re.escape, short)) + b")")
    found = []
    for address, code in _chunks(elf, executable=True, overlap=len(opcode) + _DISTANCE - 1):
        for match in pattern.finditer(code):
            found.append(Reference(address + match.start(), int.from_bytes(match[1], "little")))
            _check_number(found)
    return found


def _check_number(found: Sequence[Reference]) -> None:
    if len(found) > _MOST_REFERENCES:
        raise PellucidError(f"its code refers to the same few places more than {_MOST_REFERENCES} times")


def _within(target: int, targets: Sequence[range]) -> bool:
    number = bisect_right(targets, target, key=lambda one: one.start) - 1
    return number >= 0 and target in targets[number]


def _pattern(opcode: bytes, address: int, length: int, targets: Sequence[range]) -> re.Pattern[bytes]:
    """What an instruction of this chunk that leads into one of `targets` looks like, and little else."""
    uppers = {
        upper
        for one in targets
        for upper in range((one.start - address - length) >> 16, ((one.stop - address) >> 16) + 1)
    }
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
