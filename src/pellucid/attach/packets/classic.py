"""Programs of classic BPF, which libpcap compiles filters to, as programs of eBPF (kernel/bpf/verifier.c).

A program of the TC or socket kind comes of it: it hands a packet that matches on to another program, and leaves any
other alone. Registers: r6 the packet, r7 A, r8 X, r9 the bytes of a VLAN tag that the network card keeps beside the packet,
and that libpcap's programs expect in it; the sixteen words of memory are on the stack.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Classic(NamedTuple):
    """One `struct bpf_insn` of pcap/bpf.h."""

    code: int
    jt: int
    jf: int
    k: int


_INSTRUCTION = struct.Struct("<BBhi")
_MISS, _MATCH = -1, -2
"""Labels beside those of the classic instructions, which are their numbers."""

# Classic BPF: class, size, mode (linux/bpf_common.h); their low bits mean the same in eBPF.
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_X = 0x08
_ADD, _SUB, _MUL, _DIV, _OR, _AND, _LSH, _RSH, _NEG, _MOD, _XOR = (op << 4 for op in range(11))
_JA, _JEQ, _JGT, _JGE, _JSET = (op << 4 for op in range(5))
_TXA = 0x80

# eBPF (linux/bpf.h).
_ALU32, _ALU64, _JMP32, _EBPF_LDX, _EBPF_STX = 0x04, 0x07, 0x06, 0x01, 0x03
_MOV, _JNE, _CALL, _EXIT, _BIG_ENDIAN = 0xB0, 0x50, 0x85, 0x95, 0xDC
_MEMORY = 0x60
_SKB_LOAD_BYTES, _TAIL_CALL = 26, 12
_LEN_AT, _VLAN_PRESENT_AT, _VLAN_TCI_AT, _VLAN_PROTO_AT = 0, 20, 24, 28  # in struct __sk_buff

_A, _CONTEXT, _INDEX, _TAG, _FRAME = 7, 6, 8, 9, 10
_SCRATCH, _TAG_BYTES, _WORDS = -8, -16, -80
"""Places on the stack: what was loaded from the packet, the VLAN tag, the first of the sixteen words."""
_TAG_AT, _TAG_SIZE = 12, 4
_LAST_OFFSET = (1 << 31) - 1


class _Program:
    """eBPF instructions with labels."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._jumps: list[tuple[int, int]] = []
        self._labels: dict[int, int] = {}

    def add(self, code: int, to: int = 0, of: int = 0, at: int = 0, value: int = 0) -> int:
        self._code.append((code, of << 4 | to, at, value - (1 << 32) if value > _LAST_OFFSET else value))
        return len(self._code) - 1

    def jump(self, code: int, to: int, label: int, value: int = 0, of: int = 0) -> None:
        self._jumps.append((self.add(code, to, of, value=value), label))

    def label(self, label: int) -> None:
        self._labels[label] = len(self._code)

    def leads_to(self, label: int) -> bool:
        """Whether anything jumps there."""
        return any(label == each for _, each in self._jumps)

    def skip_from(self, place: int) -> None:
        """Have the jump there lead here."""
        code, registers, _, value = self._code[place]
        self._code[place] = code, registers, len(self._code) - place - 1, value

    def bytes(self) -> bytes:
        for place, label in self._jumps:
            code, registers, _, value = self._code[place]
            self._code[place] = code, registers, self._labels[label] - place - 1, value
        return b"".join(_INSTRUCTION.pack(*each) for each in self._code)

    # --- instructions -----------------------------------------------------------------------------

    def move(self, to: int, value: int) -> None:
        self.add(_ALU32 | _MOV, to, value=value)

    def copy(self, to: int, of: int) -> None:
        self.add(_ALU64 | _MOV | _X, to, of)

    def copy_word(self, to: int, of: int) -> None:
        self.add(_ALU32 | _MOV | _X, to, of)


def translate(
    program: Sequence[Classic], entries_fd: int, entry: int, *, link_layer: bool, miss: int
) -> bytes:
    """eBPF instructions that tail-call `entry` of a program array where `program` accepts a packet, and return
    `miss` where it does not. With `link_layer` packets begin with an Ethernet header.

    Raises `UsageError` for what cannot be translated: none of it comes of libpcap's own words.
    """
    out = _Program()
    _begin(out, link_layer=link_layer)
    for place in sorted(_reached(program)):  # the verifier refuses what is never run
        out.label(place)
        _one(out, place, program[place], link_layer=link_layer)
    if out.leads_to(_MATCH):
        out.label(_MATCH)
        out.copy(1, _CONTEXT)
        out.add(0x18, 2, 1, value=entries_fd)  # a map's descriptor, in two instructions
        out.add(0)
        out.move(3, entry)
        out.add(_CALL, value=_TAIL_CALL)
    out.label(_MISS)
    out.add(_ALU64 | _MOV, 0, value=miss & 0xFFFFFFFF)
    out.add(_EXIT)
    return out.bytes()


def _reached(program: Sequence[Classic]) -> set[int]:
    """The places of the instructions that can be reached; jumps go forward only."""
    reached: set[int] = {0}
    for place, each in enumerate(program):
        if place not in reached or each.code & 7 == _RET:
            continue
        if each.code & 7 != _JMP:
            reached.add(place + 1)
        elif each.code & 0xF0 == _JA:
            reached.add(place + 1 + each.k)
        else:
            reached |= {place + 1 + each.jt, place + 1 + each.jf}
    if max(reached) >= len(program):  # a loop (`protochain`): its jump goes back
        raise UsageError("a filter that follows a chain of headers cannot run in the kernel")
    return reached


def _begin(out: _Program, *, link_layer: bool) -> None:
    out.copy(_CONTEXT, 1)
    for register in (_A, _INDEX, _TAG):
        out.move(register, 0)
    for word in range(16):
        out.add(0x62, _FRAME, at=_WORDS + 4 * word)  # BPF_ST | BPF_MEM | BPF_W
    if not link_layer:
        return
    out.add(_EBPF_LDX | _MEMORY, 1, _CONTEXT, _VLAN_PRESENT_AT)
    untagged = out.add(_JMP | _JEQ, 1, value=0)
    out.move(_TAG, _TAG_SIZE)
    out.add(_EBPF_LDX | _MEMORY, 1, _CONTEXT, _VLAN_PROTO_AT)
    out.add(_EBPF_STX | _MEMORY | 0x08, _FRAME, 1, _TAG_BYTES)
    out.add(_EBPF_LDX | _MEMORY, 1, _CONTEXT, _VLAN_TCI_AT)
    out.add(_BIG_ENDIAN, 1, value=16)
    out.add(_EBPF_STX | _MEMORY | 0x08, _FRAME, 1, _TAG_BYTES + 2)
    out.skip_from(untagged)


def _one(out: _Program, place: int, each: Classic, *, link_layer: bool) -> None:
    kind = each.code & 7
    if kind in {_LD, _LDX}:
        _load(out, each, link_layer=link_layer)
    elif kind in {_ST, _STX}:
        out.add(_EBPF_STX | _MEMORY, _FRAME, _A if kind == _ST else _INDEX, _word(each.k))
    elif kind == _ALU:
        _calculate(out, each)
    elif kind == _JMP:
        _branch(out, place, each)
    elif kind == _RET:
        if each.code & 0x18 == 0x10:  # A
            out.jump(_JMP32 | _JNE, _A, _MATCH)
        out.jump(_JMP, 0, _MATCH if each.code & 0x18 == 0 and each.k else _MISS)
    elif each.code & 0xF8 == _TXA:
        out.copy_word(_A, _INDEX)
    else:
        out.copy_word(_INDEX, _A)


def _word(k: int) -> int:
    if k >= 16:
        raise _unknown()
    return _WORDS + 4 * k


def _unknown() -> UsageError:
    return UsageError("this filter cannot be applied in the kernel: say it in other words")


def _load(out: _Program, each: Classic, *, link_layer: bool) -> None:
    to, mode = (_A if each.code & 7 == _LD else _INDEX), each.code & 0xE0
    size = _SIZES.get(each.code & 0x18)
    if size is None:
        raise _unknown()
    if mode == _IMM:
        out.move(to, each.k)
    elif mode == _MEM:
        out.add(_EBPF_LDX | _MEMORY, to, _FRAME, _word(each.k))
    elif mode == _LEN:
        out.add(_EBPF_LDX | _MEMORY, to, _CONTEXT, _LEN_AT)
        out.add(_ALU32 | _ADD | _X, to, _TAG)
    elif mode == _IND:
        _load_indexed(out, each.k, size, link_layer=link_layer)
    elif mode in {_ABS, _MSH}:
        _load_from(out, to, each.k, size, link_layer=link_layer)
        if mode == _MSH:
            out.add(_ALU32 | _AND, to, value=0xF)
            out.add(_ALU32 | _LSH, to, value=2)
    else:
        raise _unknown()


def _load_from(out: _Program, to: int, k: int, size: int, *, link_layer: bool) -> None:
    """Load from a place that is known now."""
    if (
        k > _LAST_OFFSET
    ):  # extensions of the kernel (linux/filter.h), which libpcap uses on live captures only
        raise _unknown()
    beside = link_layer and k < _TAG_AT + _TAG_SIZE and k + size > _TAG_AT
    done = 0
    if beside:
        if not _TAG_AT <= k <= _TAG_AT + _TAG_SIZE - size:
            raise UsageError(
                f"this filter cannot be applied in the kernel: it reads {size} bytes at {k} at once"
            )
        packet = out.add(_JMP | _JEQ, _TAG, value=0)
        out.add(_EBPF_LDX | _MEMORY | _code_of(size), to, _FRAME, _TAG_BYTES + k - _TAG_AT)
        done = out.add(_JMP)
        out.skip_from(packet)
    out.move(2, k)
    if link_layer and k >= _TAG_AT + _TAG_SIZE:
        out.add(_ALU32 | _SUB | _X, 2, _TAG)
    _load_bytes(out, to, size)
    if beside:
        out.skip_from(done)
    _to_host_order(out, to, size)


def _load_indexed(out: _Program, k: int, size: int, *, link_layer: bool) -> None:
    """Load A from X + k. The bytes of a tag that is beside the packet are not there."""
    out.copy_word(2, _INDEX)
    out.move(1, k)
    out.add(_ALU64 | _ADD | _X, 2, 1)  # in 64 bits: a sum that does not fit in 32 is no place
    out.jump(_JMP | _JGT, 2, _MISS, _LAST_OFFSET)
    if link_layer:
        out.move(1, _TAG_AT - size)
        before = out.add(_JMP32 | 0xB0 | _X, 2, 1)  # BPF_JLE: it ends before the tag
        untagged = out.add(_JMP32 | _JEQ, _TAG, value=0)
        out.jump(_JMP32 | 0xA0, 2, _MISS, _TAG_AT + _TAG_SIZE)  # BPF_JLT
        out.add(_ALU32 | _SUB | _X, 2, _TAG)
        out.skip_from(untagged)
        out.skip_from(before)
    _load_bytes(out, _A, size)
    _to_host_order(out, _A, size)


def _code_of(size: int) -> int:
    return {4: 0x00, 2: 0x08, 1: 0x10}[size]


def _load_bytes(out: _Program, to: int, size: int) -> None:
    """From the packet, at r2; a place behind its end is no match."""
    out.copy(1, _CONTEXT)
    out.copy(3, _FRAME)
    out.add(_ALU64 | _ADD, 3, value=_SCRATCH & 0xFFFFFFFF)
    out.move(4, size)
    out.add(_CALL, value=_SKB_LOAD_BYTES)
    out.jump(_JMP | _JNE, 0, _MISS)
    out.add(_EBPF_LDX | _MEMORY | _code_of(size), to, _FRAME, _SCRATCH)


def _to_host_order(out: _Program, to: int, size: int) -> None:
    if size > 1:
        out.add(_BIG_ENDIAN, to, value=size * 8)


def _calculate(out: _Program, each: Classic) -> None:
    operation, by_index = each.code & 0xF0, each.code & _X
    if operation > _XOR or (operation in {_DIV, _MOD} and not by_index and not each.k):
        raise _unknown()
    if operation in {_DIV, _MOD} and by_index:
        out.jump(_JMP32 | _JEQ, _INDEX, _MISS)
    if operation in {_LSH, _RSH}:
        _shift(out, operation, each, by_index=bool(by_index))
    elif operation == _NEG:
        out.add(_ALU32 | _NEG, _A)
    elif by_index:
        out.add(_ALU32 | operation | _X, _A, _INDEX)
    else:
        out.add(_ALU32 | operation, _A, value=each.k)


def _shift(out: _Program, operation: int, each: Classic, *, by_index: bool) -> None:
    """By X bits: of 32 and more nothing is left, where eBPF would take the lower five bits of that number."""
    if not by_index:
        if each.k >= 32:
            raise _unknown()
        out.add(_ALU32 | operation, _A, value=each.k)
        return
    far = out.add(_JMP32 | _JGE, _INDEX, value=32)
    out.add(_ALU32 | operation | _X, _A, _INDEX)
    done = out.add(_JMP)
    out.skip_from(far)
    out.move(_A, 0)
    out.skip_from(done)


def _branch(out: _Program, place: int, each: Classic) -> None:
    operation = each.code & 0xF0
    if operation == _JA:
        out.jump(_JMP, 0, place + 1 + each.k)
        return
    if operation > _JSET:
        raise _unknown()
    code = _JMP32 | operation | each.code & _X
    if each.code & _X:
        out.jump(code, _A, place + 1 + each.jt, of=_INDEX)
    else:
        out.jump(code, _A, place + 1 + each.jt, each.k)
    out.jump(_JMP, 0, place + 1 + each.jf)
