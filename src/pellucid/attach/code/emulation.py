"""Which instructions the kernel emulates when a probe is on them, instead of single-stepping a copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.attach.code.disassembly import CALL, JUMP, RETURN, disassembler
from pellucid.attach.code.registers import ARGUMENTS, REGISTERS

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf, Symbol

_FARTHEST = 6  # instructions from the entry: what a compiler puts before the first branch or push
_ENDS = frozenset({CALL, JUMP, RETURN})
_TARGET = re.compile(r"0x[0-9a-f]+$")

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_EMULATED = re.compile(  # push; nop; call, jmp; jcc: arch/x86/kernel/uprobes.c, branch_/push_setup_xol_ops()
    rb"\x41?[\x50-\x57]|\x90|[\xe8\xe9\xeb]|[\x70-\x7f]|\x0f[\x80-\x8f]", re.DOTALL
)


def cheap_entry(elf: Elf, address: int) -> tuple[int, bool]:
    """Where to put a probe that means "at the entry of `address`", and whether the kernel emulates
    the instruction there instead of single-stepping it, which costs about eight times as much.

    `endbr64` changes nothing, not even the stack pointer that a return probe needs, so what follows
    it serves as well. On other machines nothing is known to be emulated.
    """
    if elf.machine != "x86_64":
        return address, False
    code = elf.code(address, len(_ENDBR64))
    if code == _ENDBR64 and _emulated(elf, address + len(_ENDBR64)):
        return address + len(_ENDBR64), True
    return address, _emulated(elf, address)


def _emulated(elf: Elf, address: int) -> bool:
    return _EMULATED.match(elf.code(address, 2)) is not None


def cheap_place(elf: Elf, function: Symbol) -> int:
    """Where to put a probe that has to run once a call, before anything that the function does with its
    arguments, and that needs no return: the entry, or an instruction below it that the kernel emulates.

    That one must be reached from the entry in a straight line, by no jump, with the arguments untouched.
    """
    entry, emulated = cheap_entry(elf, function.address)
    if emulated or elf.machine != "x86_64":
        return entry
    code = elf.code(function.address, function.size)
    targets = {
        int(operands, 16)
        for _, _, mnemonic, operands in disassembler(detail=False).disasm_lite(code, function.address)
        if mnemonic.startswith("j") and _TARGET.match(operands)
    }
    for insn in disassembler(detail=True).disasm(code, function.address, _FARTHEST):
        if insn.address in targets:
            break
        if _emulated(elf, insn.address):
            return int(insn.address)
        written = {REGISTERS.get(insn.reg_name(register)) for register in insn.regs_access()[1]}
        if _ENDS.intersection(insn.groups) or written.intersection(ARGUMENTS):
            break
    return entry
