"""The sites chosen in real builds, checked by other means: readelf's table of functions and the kernel's rules.

A site is right if it is where a function begins (or behind its `endbr64`), at an instruction's first byte, no
argument has been touched there, and the kernel emulates the instruction exactly if the site says so.
"""

from __future__ import annotations

import re
import subprocess

import pytest
from capstone import CS_ARCH_X86, CS_GRP_CALL, CS_GRP_JUMP, CS_MODE_64, Cs
from capstone.x86 import X86_OP_IMM, X86_OP_REG
from tests.kernel.libraries import android, bullseye, file_in, new_wheel, node, old_wheel, sid, trixie

from pellucid.attach.sites import find_calls
from pellucid.attach.symbols import Elf
from pellucid.probes.openssl.probe import PROBE

SOURCES = (bullseye, trixie, sid, old_wheel, new_wheel, android, node)
TOUCHED = re.compile(r"[re]?(?:[sd]il?|[cd][xlh]|sp)|r[89][dwb]?")
"""The registers that hold arguments, and the stack pointer that a return probe needs, by any of their names."""


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def chosen(request):
    """A real file, and its sites as virtual addresses: the cheapest, and those of `--sites entry`."""
    path = file_in(request.param())
    with Elf(path) as elf:
        functions = elf.symbols(PROBE.functions)
        sites = [
            site
            for entry_only in (False, True)
            for site in find_calls(elf, PROBE.calls, functions, entry_only=entry_only)
        ]
        yield path, [(site, elf.address(site.offset)) for site in sites]


def beginnings(path, near):
    """Where functions begin, up to 4 bytes before one of the addresses `near`, and where each ends, by readelf.

    From .eh_frame, which tells unwinders: every function has its entry there, stripped or not.
    """
    lines = subprocess.run(["readelf", "--wide", "--debug-dump=frames", path], capture_output=True, text=True)
    assert lines.returncode == 0, lines.stderr
    rows = re.findall(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", lines.stdout)
    ranges = [(int(begin, 16), int(end, 16)) for begin, end in rows]
    return {begin: end for begin, end in ranges if any(begin <= address <= begin + 4 for address in near)}


def instructions(path, begin, end):
    """The function disassembled from its first byte to its last, one instruction after the other."""
    with Elf(path) as elf:
        code = elf.code(begin, end - begin)
    decoder = Cs(CS_ARCH_X86, CS_MODE_64)
    decoder.detail = True
    return list(decoder.disasm(code, begin))


def is_emulated(insn):
    """Whether the kernel emulates it: `branch_setup_xol_ops` and `push_setup_xol_ops` of arch/x86/kernel/uprobes.c.

    Direct calls and jumps, one-byte nops, and pushes of a register.
    """
    kind = insn.operands[0].type if insn.operands else None
    if insn.group(CS_GRP_CALL) or insn.group(CS_GRP_JUMP):
        return kind == X86_OP_IMM
    return bytes(insn.bytes) == b"\x90" or (insn.mnemonic == "push" and kind == X86_OP_REG)


def test_every_site(chosen):
    """Each site is a function's first instruction that matters, arguments intact, and emulated if it says so."""
    path, sites = chosen
    begins = beginnings(path, {address for _, address in sites})
    for site, address in sites:
        (begin,) = (begin for begin in begins if begin <= address <= begin + 4)
        code = {insn.address: insn for insn in instructions(path, begin, begins[begin])}
        assert address in code, f"{site.symbol} is between two instructions"
        before = [insn for insn in code.values() if insn.address < address]
        written = {insn.reg_name(register) for insn in before for register in insn.regs_access()[1]}
        assert not any(TOUCHED.fullmatch(name) for name in written)
        assert site.emulated == is_emulated(code[address]), code[address]


def test_both_directions(chosen):
    """Reads and writes both have a site, whichever kind."""
    _, sites = chosen
    assert {site.direction.name for site, _ in sites} == {"READ", "WRITE"}


@pytest.mark.parametrize("register", ["rdi", "esi", "dl", "dh", "cx", "r8d", "r9", "rsp", "sil", "di"])
def test_registers_of_arguments(register):
    """The check above would notice a write to any part of an argument."""
    assert TOUCHED.fullmatch(register)
    assert not TOUCHED.fullmatch("rax")
    assert not TOUCHED.fullmatch("r10")
