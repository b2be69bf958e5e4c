"""Where a program calls a function of a shared library: to probe the program, and not the library, which others use too.

A call goes through a stub of the linkage table, which jumps to what the dynamic linker has stored in a slot, or through
the slot itself (System V ABI for x86-64, section 5.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.code.functions import functions_around
from pellucid.attach.code.references import calls, relative_references
from pellucid.attach.code.x86 import instructions
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf

_CALL_SLOT, _JUMP_SLOT = b"\xff\x15", b"\xff\x25"  # call *slot(%rip), jmp *slot(%rip)
_LOADS = [bytes([rex, 0x8B, register << 3 | 5]) for rex in (0x48, 0x4C) for register in range(8)]
"""mov slot(%rip),REGISTER"""

_ENDBR = b"\xf3\x0f\x1e\xfa"
_BND = b"\xf2"
_CALL_SIZE, _CALL_SLOT_SIZE = 5, 6


class ImportedCall(NamedTuple):
    """A call of an imported function; virtual addresses."""

    place: int
    behind: int
    """Where it comes back to."""


def imported_calls(elf: Elf, name: str) -> list[ImportedCall]:
    """Every call of the function that the file's code makes by itself.

    PellucidError where there is none, or where it is not proven that an instruction begins there.
    """
    if elf.machine != "x86_64":
        raise PellucidError(f"calls of {name} in a library are not looked for on {elf.machine}")
    slots = [range(slot, slot + 1) for slot in sorted(elf.slots(name))]
    found = [
        ImportedCall(place, place + _CALL_SLOT_SIZE)
        for place, _ in relative_references(elf, _CALL_SLOT, slots)
    ]
    for jump, _ in relative_references(elf, _JUMP_SLOT, slots):
        for stub in _beginnings(elf, jump):
            found += [ImportedCall(place, place + _CALL_SIZE) for place in calls(elf, stub)]
    if any(relative_references(elf, load, slots) for load in _LOADS):
        raise PellucidError(
            f"it takes {name} from a library, and may call it by a pointer, which is not followed"
        )
    if not found:
        raise PellucidError(f"it takes {name} from a library, and no call of it is found")
    for call in found:
        _prove(elf, name, call)
    return sorted(found)


def _beginnings(elf: Elf, jump: int) -> list[int]:
    """Where the stub begins that has this jump: compilers put up to two other instructions before it."""
    before = [jump]
    if elf.code(jump - len(_BND), len(_BND)) == _BND:
        before.append(jump - len(_BND))
    at = before[-1] - len(_ENDBR)
    return [*before, at] if elf.code(at, len(_ENDBR)) == _ENDBR else before


def _prove(elf: Elf, name: str, call: ImportedCall) -> None:
    """Bytes that read as a call may be the middle of something else, which a probe there would break."""
    for function in functions_around(elf, [call.place]):
        if {call.place, call.behind} <= instructions(
            elf, range(function.address, function.address + function.size)
        ):
            return
    raise PellucidError(f"it is not proven that what looks like a call of {name} at {call.place:#x} is one")
