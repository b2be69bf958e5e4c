"""Where a shell's functions come back: at their own return instructions, or behind the instructions that call them.

Ordinary probes there take the place of return probes. The kernel follows only 64 calls of a process that have not
returned (MAX_URETPROBE_DEPTH in kernel/events/uprobes.c), and says of none that it was not followed; shells call
themselves for each level of what they run, and bash for each further command of a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.code.disassembly import disassembler
from pellucid.attach.code.functions import functions_around
from pellucid.attach.code.references import calls
from pellucid.attach.code.x86 import instructions
from pellucid.attach.unwind import Extents
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf, Symbol

_CALL_SIZE = 5
_LONGEST = 1 << 20  # bytes; that of bash which runs commands has 15,000
_MOST_PARTS = 64  # real functions have up to three


def return_instructions(elf: Elf, function: Symbol) -> list[int]:
    """The addresses of a function's `ret` instructions, and of those to which it leaves its own (tail calls).

    What jumps by a pointer is taken for a `switch`. PellucidError where the code is not understood.
    """
    _check_machine(elf)
    extents = Extents(elf)
    parts = [range(function.address, function.address + function.size)]
    found = []
    for part in parts:  # which grows
        returns, targets = _ends(elf, part)
        found += returns
        for target in targets:
            if not any(target in known for known in parts):
                parts.append(extents.at(target) or range(target, target))
        if len(parts) > _MOST_PARTS:
            raise PellucidError(f"its function {function.name} jumps to too many others")
    if not found:
        raise PellucidError(f"its function {function.name} has no return instruction")
    return sorted(found)


def _ends(elf: Elf, part: range) -> tuple[list[int], list[int]]:
    """A piece of code: its return instructions, and where it jumps to outside of itself."""
    returns, targets, end = [], [], part.start
    if not 0 < len(part) <= _LONGEST:
        raise PellucidError(f"how long its function at {part.start:#x} is cannot be told")
    for address, size, name, operand in disassembler(detail=False).disasm_lite(
        elf.code(part.start, len(part)), part.start
    ):
        end = address + size
        words = name.split()  # with prefixes: `bnd ret`, `notrack jmp`
        if words[-1] == "ret" or words[-1].startswith("retf"):
            returns.append(address)
        elif words[-1].startswith("j") and operand.startswith("0x") and int(operand, 16) not in part:
            targets.append(int(operand, 16))
    if end != part.stop:
        raise PellucidError(f"its code at {end:#x} is not understood")
    return returns, targets


def places_behind_calls(elf: Elf, function: Symbol) -> list[int]:
    """The addresses that direct calls of a function in its own file come back to.

    PellucidError where there is none, or where it is not proven that an instruction begins there.
    """
    _check_machine(elf)
    found = []
    for place in calls(elf, function.address):
        behind = place + _CALL_SIZE
        around = functions_around(elf, [place])
        if not any(
            {place, behind} <= instructions(elf, range(one.address, one.address + one.size)) for one in around
        ):
            raise PellucidError(
                f"it is not proven that what looks like a call of {function.name} at {place:#x} is one"
            )
        found.append(behind)
    if not found:
        raise PellucidError(f"no call of its function {function.name} is found")
    return found


def _check_machine(elf: Elf) -> None:
    if elf.machine != "x86_64":
        raise PellucidError(f"what shells run is not told on {elf.machine} yet: leave --commands out")
