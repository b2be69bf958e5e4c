"""Programs of classic BPF, which libpcap compiles filters to, as programs of eBPF (kernel/bpf/verifier.c).

A program of the TC or socket kind comes of it: it hands a packet that matches on to another program, and leaves any
other alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.packets.ebpf import (
    ADD,
    ALU32,
    ALU64,
    AND,
    CALL,
    CONTEXT,
    DIV,
    EXIT,
    FRAME,
    INDEX,
    JA,
    JEQ,
    JGE,
    JMP,
    JMP32,
    JNE,
    JSET,
    LDX,
    LEN_AT,
    LOAD_64,
    LSH,
    MATCH,
    MEMORY,
    MISS,
    MOD,
    MOV,
    NEG,
    RSH,
    STX,
    TAG,
    TAIL_CALL,
    WORDS,
    XOR,
    A,
    Program,
    X,
    begin,
    load_from,
    load_indexed,
    unknown,
)
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


# Classic BPF's own classes, sizes and modes (linux/bpf_common.h).
_LD, _ST, _RET = 0, 2, 6
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_TXA = 0x80


class Classic(NamedTuple):
    """One `struct bpf_insn` of pcap/bpf.h."""

    code: int
    jt: int
    jf: int
    k: int


class Translated:
    """A classic program in eBPF, but for what is done with packets that it accepts."""

    def __init__(self, program: Sequence[Classic], *, link_layer: bool) -> None:
        """With `link_layer` packets begin with an Ethernet header. UsageError for what cannot be translated: a loop, and
        what none of libpcap's own words come to.
        """
        self._program = out = Program()
        begin(out, link_layer=link_layer)
        for place in sorted(_reached(program)):  # the verifier refuses what is never run
            out.label(place)
            _one(out, place, program[place], link_layer=link_layer)

    def code(self, entries_fd: int, entry: int, *, miss: int) -> bytes:
        """`struct bpf_insn` in a row: tail-call `entry` of a program array for packets that are accepted, return `miss` for others."""
        out = self._program.copy()
        if out.leads_to(MATCH):
            out.label(MATCH)
            out.copy_register(1, CONTEXT)
            out.add(LOAD_64, 2, 1, value=entries_fd)  # a map's descriptor, in two instructions
            out.add(0)
            out.move(3, entry)
            out.add(CALL, value=TAIL_CALL)
        out.label(MISS)
        out.add(ALU64 | MOV, 0, value=miss & 0xFFFFFFFF)
        out.add(EXIT)
        return out.bytes()


def _reached(program: Sequence[Classic]) -> set[int]:
    """The places of the instructions that can be reached; jumps go forward only."""
    reached: set[int] = {0}
    for place, each in enumerate(program):
        if place not in reached or each.code & 7 == _RET:
            continue
        if each.code & 7 != JMP:
            reached.add(place + 1)
        elif each.code & 0xF0 == JA:
            reached.add(place + 1 + each.k)
        else:
            reached |= {place + 1 + each.jt, place + 1 + each.jf}
    if max(reached) >= len(program):  # a loop (`protochain`): its jump goes back
        raise UsageError("a filter that follows a chain of headers cannot run in the kernel")
    return reached


def _one(out: Program, place: int, each: Classic, *, link_layer: bool) -> None:
    kind = each.code & 7
    if kind in {_LD, LDX}:
        _load(out, each, link_layer=link_layer)
    elif kind in {_ST, STX}:
        out.add(STX | MEMORY, FRAME, A if kind == _ST else INDEX, _word(each.k))
    elif kind == ALU32:
        _calculate(out, each)
    elif kind == JMP:
        _branch(out, place, each)
    elif kind == _RET:
        if each.code & 0x18 == 0x10:  # A
            out.jump(JMP32 | JNE, A, MATCH)
        out.jump(JMP, 0, MATCH if each.code & 0x18 == 0 and each.k else MISS)
    elif each.code & 0xF8 == _TXA:
        out.copy_word(A, INDEX)
    else:
        out.copy_word(INDEX, A)


def _word(k: int) -> int:
    if k >= 16:
        raise unknown()
    return WORDS + 4 * k


def _load(out: Program, each: Classic, *, link_layer: bool) -> None:
    to, mode = (A if each.code & 7 == _LD else INDEX), each.code & 0xE0
    size = _SIZES.get(each.code & 0x18)
    if size is None:
        raise unknown()
    if mode == _IMM:
        out.move(to, each.k)
    elif mode == _MEM:
        out.add(LDX | MEMORY, to, FRAME, _word(each.k))
    elif mode == _LEN:
        out.add(LDX | MEMORY, to, CONTEXT, LEN_AT)
        out.add(ALU32 | ADD | X, to, TAG)
    elif mode == _IND:
        load_indexed(out, each.k, size, link_layer=link_layer)
    elif mode in {_ABS, _MSH}:
        load_from(out, to, each.k, size, link_layer=link_layer)
        if mode == _MSH:
            out.add(ALU32 | AND, to, value=0xF)
            out.add(ALU32 | LSH, to, value=2)
    else:
        raise unknown()


def _calculate(out: Program, each: Classic) -> None:
    operation, by_index = each.code & 0xF0, each.code & X
    if operation > XOR or (operation in {DIV, MOD} and not by_index and not each.k):
        raise unknown()
    if operation in {DIV, MOD} and by_index:
        out.jump(JMP32 | JEQ, INDEX, MISS)
    if operation in {LSH, RSH}:
        _shift(out, operation, each, by_index=bool(by_index))
    elif operation == NEG:
        out.add(ALU32 | NEG, A)
    elif by_index:
        out.add(ALU32 | operation | X, A, INDEX)
    else:
        out.add(ALU32 | operation, A, value=each.k)


def _shift(out: Program, operation: int, each: Classic, *, by_index: bool) -> None:
    """By X bits: of 32 and more nothing is left, where eBPF would take the lower five bits of that number."""
    if not by_index:
        if each.k >= 32:
            raise unknown()
        out.add(ALU32 | operation, A, value=each.k)
        return
    far = out.add(JMP32 | JGE, INDEX, value=32)
    out.add(ALU32 | operation | X, A, INDEX)
    done = out.add(JMP)
    out.skip_from(far)
    out.move(A, 0)
    out.skip_from(done)


def _branch(out: Program, place: int, each: Classic) -> None:
    operation = each.code & 0xF0
    if operation == JA:
        out.jump(JMP, 0, place + 1 + each.k)
        return
    if operation > JSET:
        raise unknown()
    code = JMP32 | operation | each.code & X
    if each.code & X:
        out.jump(code, A, place + 1 + each.jt, of=INDEX)
    else:
        out.jump(code, A, place + 1 + each.jt, each.k)
    out.jump(JMP, 0, place + 1 + each.jf)
