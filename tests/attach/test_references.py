"""References to places in code and data are found by their bytes."""

import pytest

from pellucid.attach import references
from pellucid.attach.references import (
    CALL,
    LEA_RCX,
    MOV_ECX,
    absolute_references,
    relative_references,
    texts_ending_with,
)
from pellucid.attach.symbols import Elf

CODE = """
.section .rodata
.byte 1
text: .asciz "some/where/a.cc"
.asciz "b.cc"
.asciz "some/where/a.cc/more"
.text
.globl f, g, h
.type f,@function
.type g,@function
.type h,@function
f: ret
.skip {gap}
g: lea text(%rip),%rcx; call f; lea text(%rip),%rdx; lea 1+text(%rip),%rcx
h: call f; jmp f
"""


@pytest.fixture(params=[0, 5000, 1 << 17])
def elf(library, monkeypatch, request):
    """Code that is longer than the pieces in which it is searched, or not."""
    monkeypatch.setattr(references, "_CHUNK", 1009)
    path = library(CODE.format(gap=request.param), "-Wl,-Bsymbolic", language="assembler")
    with Elf(path) as opened:
        yield opened


def test_texts(elf):
    """A text is found by its ending, from its beginning on, though no zero byte precedes it; not one that goes on."""
    [address] = texts_ending_with(elf, (b"a.cc",))
    assert b"some/where/a.cc\0" == elf.code(address, 16)
    assert [address, address + 16] == texts_ending_with(elf, (b"b.cc", b"a.cc"))


def test_relative(elf):
    """Of all instructions those count that have the opcode and lead to the place, wherever pieces end."""
    [text] = texts_ending_with(elf, (b"a.cc",))
    f, g, h = (elf.symbol(name).address for name in "fgh")
    assert [(g, text)] == list(relative_references(elf, LEA_RCX, range(text, text + 1)))
    assert {g + 7, h} == {reference.place for reference in relative_references(elf, CALL, range(f, f + 1))}


def test_absolute(library):
    """An address of 32 bits that code holds as a constant is found; one that needs more cannot be there."""
    with Elf(library(".globl f\nf: mov $0x1234567,%ecx; mov $0x1234567,%edx", language="assembler")) as elf:
        [segment] = elf.segments(executable=True)
        [reference] = absolute_references(elf, MOV_ECX, 0x1234567)
        assert (b"\xb9\x67\x45\x23\x01", 0x1234567) == (elf.code(reference.place, 5), reference.target)
        assert reference.place in segment
        assert [] == list(absolute_references(elf, MOV_ECX, 1 << 32))
