"""eBPF, instruction by instruction, and how a program of it reads a packet as classic BPF does (linux/bpf.h).

Registers: r6 the packet, r7 A, r8 X, r9 the bytes of a VLAN tag that the network card keeps beside the packet, and that
libpcap's programs expect in it; the sixteen words of memory are on the stack.
"""

from __future__ import annotations

import struct

from pellucid.errors import UsageError

_INSTRUCTION = struct.Struct("<BBhi")
MISS, MATCH = -1, -2
"""Labels beside those of the classic instructions, which are their numbers."""

# Classes, operations and modes; their low bits mean the same in classic BPF (linux/bpf_common.h).
LDX, STX, ALU32, JMP, JMP32, ALU64 = 0x01, 0x03, 0x04, 0x05, 0x06, 0x07
X = 0x08
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = (op << 4 for op in range(11))
JA, JEQ, JGT, JGE, JSET, JNE = (op << 4 for op in range(6))
JLT, JLE = 0xA0, 0xB0
MOV, CALL, EXIT, BIG_ENDIAN = 0xB0, 0x85, 0x95, 0xDC
LOAD_64, STORE_WORD = 0x18, 0x62
MEMORY = 0x60
HALF = 0x08
CODES = {4: 0x00, 2: HALF, 1: 0x10}
"""By size in bytes, what an access to memory has in its code."""

SKB_LOAD_BYTES, TAIL_CALL = 26, 12
LEN_AT = 0  # in struct __sk_buff
_VLAN_PRESENT_AT, _VLAN_TCI_AT, _VLAN_PROTO_AT = 20, 24, 28

A, CONTEXT, INDEX, TAG, FRAME = 7, 6, 8, 9, 10
_SCRATCH, _TAG_BYTES, WORDS = -8, -16, -80
"""Places on the stack: what was loaded from the packet, the VLAN tag, the first of the sixteen words."""
_TAG_AT, _TAG_SIZE = 12, 4
LAST_OFFSET = (1 << 31) - 1


class Program:
    """eBPF instructions with labels."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._jumps: list[tuple[int, int]] = []
        self._labels: dict[int, int] = {}

    def copy(self) -> Program:
        """One that may be continued by itself."""
        other = Program()
        other._code, other._jumps, other._labels = [*self._code], [*self._jumps], {**self._labels}
        return other

    def add(self, code: int, to: int = 0, of: int = 0, at: int = 0, value: int = 0) -> int:
        """Append an instruction of `struct bpf_insn`'s members; its place."""
        self._code.append((code, of << 4 | to, at, value - (1 << 32) if value > LAST_OFFSET else value))
        return len(self._code) - 1

    def jump(self, code: int, to: int, label: int, value: int = 0, of: int = 0) -> None:
        """Append one that jumps to a label, which may come later."""
        self._jumps.append((self.add(code, to, of, value=value), label))

    def label(self, label: int) -> None:
        """What is appended next has this label."""
        self._labels[label] = len(self._code)

    def leads_to(self, label: int) -> bool:
        """Whether anything jumps there."""
        return any(label == each for _, each in self._jumps)

    def skip_from(self, place: int) -> None:
        """Have the jump there lead here."""
        code, registers, _, value = self._code[place]
        self._code[place] = code, registers, len(self._code) - place - 1, value

    def bytes(self) -> bytes:
        """`struct bpf_insn` in a row."""
        for place, label in self._jumps:
            code, registers, _, value = self._code[place]
            self._code[place] = code, registers, self._labels[label] - place - 1, value
        return b"".join(_INSTRUCTION.pack(*each) for each in self._code)

    # --- instructions -----------------------------------------------------------------------------

    def move(self, to: int, value: int) -> None:
        """A number of 32 bits into a register."""
        self.add(ALU32 | MOV, to, value=value)

    def copy_register(self, to: int, of: int) -> None:
        """All of a register into another one."""
        self.add(ALU64 | MOV | X, to, of)

    def copy_word(self, to: int, of: int) -> None:
        """The lower 32 bits of one; the upper ones become 0."""
        self.add(ALU32 | MOV | X, to, of)


def begin(out: Program, *, link_layer: bool) -> None:
    """Registers and memory as a classic program finds them: 0, but for the tag that is beside the packet."""
    out.copy_register(CONTEXT, 1)
    for register in (A, INDEX, TAG):
        out.move(register, 0)
    for word in range(16):
        out.add(STORE_WORD, FRAME, at=WORDS + 4 * word)
    if not link_layer:
        return
    out.add(LDX | MEMORY, 1, CONTEXT, _VLAN_PRESENT_AT)
    untagged = out.add(JMP | JEQ, 1, value=0)
    out.move(TAG, _TAG_SIZE)
    out.add(LDX | MEMORY, 1, CONTEXT, _VLAN_PROTO_AT)
    out.add(STX | MEMORY | HALF, FRAME, 1, _TAG_BYTES)
    out.add(LDX | MEMORY, 1, CONTEXT, _VLAN_TCI_AT)
    out.add(BIG_ENDIAN, 1, value=16)
    out.add(STX | MEMORY | HALF, FRAME, 1, _TAG_BYTES + 2)
    out.skip_from(untagged)


def unknown() -> UsageError:
    """The error for a filter that does what none of libpcap's own does."""
    return UsageError("this filter cannot be applied in the kernel: say it in other words")


def load_from(out: Program, to: int, k: int, size: int, *, link_layer: bool) -> None:
    """Load from a place that is known now."""
    if k > LAST_OFFSET:  # extensions of the kernel (linux/filter.h): libpcap uses them on live captures only
        raise unknown()
    beside = link_layer and k < _TAG_AT + _TAG_SIZE and k + size > _TAG_AT
    done = 0
    if beside:
        if not _TAG_AT <= k <= _TAG_AT + _TAG_SIZE - size:
            raise UsageError(
                f"this filter cannot be applied in the kernel: it reads {size} bytes at {k} at once"
            )
        packet = out.add(JMP | JEQ, TAG, value=0)
        out.add(LDX | MEMORY | CODES[size], to, FRAME, _TAG_BYTES + k - _TAG_AT)
        done = out.add(JMP)
        out.skip_from(packet)
    out.move(2, k)
    if link_layer and k >= _TAG_AT + _TAG_SIZE:
        out.add(ALU32 | SUB | X, 2, TAG)
    _load_bytes(out, to, size)
    if beside:
        out.skip_from(done)
    _to_host_order(out, to, size)


def load_indexed(out: Program, k: int, size: int, *, link_layer: bool) -> None:
    """Load A from X + k. The bytes of a tag that is beside the packet are not there."""
    out.copy_word(2, INDEX)
    out.move(1, k)
    out.add(ALU64 | ADD | X, 2, 1)  # in 64 bits: a sum that does not fit in 32 is no place
    out.jump(JMP | JGT, 2, MISS, LAST_OFFSET)
    if link_layer:
        out.move(1, _TAG_AT - size)
        before = out.add(JMP32 | JLE | X, 2, 1)  # it ends before the tag
        untagged = out.add(JMP32 | JEQ, TAG, value=0)
        out.jump(JMP32 | JLT, 2, MISS, _TAG_AT + _TAG_SIZE)
        out.add(ALU32 | SUB | X, 2, TAG)
        out.skip_from(untagged)
        out.skip_from(before)
    _load_bytes(out, A, size)
    _to_host_order(out, A, size)


def _load_bytes(out: Program, to: int, size: int) -> None:
    """From the packet, at r2; a place behind its end is no match."""
    out.copy_register(1, CONTEXT)
    out.copy_register(3, FRAME)
    out.add(ALU64 | ADD, 3, value=_SCRATCH & 0xFFFFFFFF)
    out.move(4, size)
    out.add(CALL, value=SKB_LOAD_BYTES)
    out.jump(JMP | JNE, 0, MISS)
    out.add(LDX | MEMORY | CODES[size], to, FRAME, _SCRATCH)


def _to_host_order(out: Program, to: int, size: int) -> None:
    if size > 1:
        out.add(BIG_ENDIAN, to, value=size * 8)
