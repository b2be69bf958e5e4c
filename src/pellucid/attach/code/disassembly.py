"""Capstone, and what this project reads of it.

It is imported when the first instruction is read, not before: with it come the constants of eighteen machines,
5 MiB that the decoder, which is forked earlier, never needs. So the few that are used stand here as well
(capstone.h and x86.h of capstone 5; tests/attach/test_disassembly.py holds them against the installed one).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capstone import Cs

JUMP, CALL, RETURN = 1, 2, 3
"""Groups of instructions (cs_group_type)."""
REGISTER, IMMEDIATE, MEMORY = 1, 2, 3
"""What an operand is (x86_op_type)."""
WRITTEN = 2
"""A bit of how an operand is accessed (cs_ac_type)."""


@cache
def disassembler(*, detail: bool) -> Cs:
    """A disassembler of x86_64 code; with `detail` its instructions tell operands, groups and registers."""
    from capstone import CS_ARCH_X86, CS_MODE_64, Cs  # noqa: PLC0415 - see above

    found = Cs(CS_ARCH_X86, CS_MODE_64)
    found.detail = detail
    return found
