"""References to places in code and data are found by their bytes."""

import pytest

from pellucid.attach.code import references
from pellucid.attach.code.references import (
    LEA_RCX,
    MOV_ECX,
    absolute_references,
    calls,
    loads,
    relative_references,
    texts_ending_with,
)
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

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
    assert [(g, text)] == relative_references(elf, LEA_RCX, [range(text, text + 1)])
    assert [g + 7, h] == calls(elf, f)


def test_several_at_once(elf):
    """The code is read once for several places, however far they are apart, and each reference tells its own."""
    [text] = texts_ending_with(elf, (b"a.cc",))
    f, g = (elf.symbol(name).address for name in "fg")
    ranges = [range(place, place + 1) for place in sorted([text, text + 1, f, 1 << 30])]
    found = relative_references(elf, LEA_RCX, ranges)
    assert [(g, text), (g + 19, text + 1)] == found
    assert [g, g + 19] == loads(elf, [text + 1, text, 1 << 40], LEA_RCX, MOV_ECX)


def test_too_much_is_refused(library, monkeypatch):
    """A file with hundreds of the texts, or with more references than any has, is refused with a reason."""
    texts = "\n".join(f'.asciz "{number}a.cc"' for number in range(100))
    code = "f: ret\n" + "lea f(%rip),%rcx; mov $0x1234567,%ecx\n" * 20
    with Elf(library(f".section .rodata\n{texts}\n.text\n{code}", language="assembler")) as elf:
        with pytest.raises(PellucidError, match=r"more than 64 texts that end with a\.cc"):
            texts_ending_with(elf, (b"a.cc",))
        monkeypatch.setattr(references, "_MOST_REFERENCES", 19)
        [segment] = elf.segments(executable=True)
        with pytest.raises(PellucidError, match="more than 19 times"):
            relative_references(elf, LEA_RCX, [range(segment.address, segment.address + segment.size)])
        with pytest.raises(PellucidError, match="more than 19 times"):
            absolute_references(elf, MOV_ECX, [0x1234567])


def test_absolute(library):
    """An address of 32 bits that code holds as a constant is found; one that needs more cannot be there."""
    with Elf(library(".globl f\nf: mov $0x1234567,%ecx; mov $0x1234567,%edx", language="assembler")) as elf:
        [segment] = elf.segments(executable=True)
        [reference] = absolute_references(elf, MOV_ECX, [0x1234567])
        assert (b"\xb9\x67\x45\x23\x01", 0x1234567) == (elf.code(reference.place, 5), reference.target)
        assert reference.place in segment
        assert [] == absolute_references(elf, MOV_ECX, [1 << 32])
