"""Which instructions the kernel emulates when a probe is on them, instead of single-stepping a copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf

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
