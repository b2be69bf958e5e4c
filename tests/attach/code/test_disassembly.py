"""What of capstone is written down, and when it is imported."""

from __future__ import annotations

import subprocess
import sys

import capstone
from capstone import x86

from pellucid.attach.code import disassembly


def test_constants():
    """The constants that are written down are those of the installed capstone."""
    assert (disassembly.JUMP, disassembly.CALL, disassembly.RETURN) == (
        capstone.CS_GRP_JUMP,
        capstone.CS_GRP_CALL,
        capstone.CS_GRP_RET,
    )
    assert (disassembly.REGISTER, disassembly.IMMEDIATE, disassembly.MEMORY) == (
        x86.X86_OP_REG,
        x86.X86_OP_IMM,
        x86.X86_OP_MEM,
    )
    assert disassembly.WRITTEN == capstone.CS_AC_WRITE


def test_not_before_it_is_needed():
    """Everything that a capture imports before it forks leaves capstone out."""
    words = "import sys, pellucid.cli, pellucid.commands, pellucid.plugins as p; "
    words += "[p.load(group) for group in (p.PROBES, p.PARSERS, p.SINKS)]; print('capstone' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
