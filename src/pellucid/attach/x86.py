"""What does an x86_64 function call, and with which arguments; what does it return, and what does it store?

Answered by interpreting its instructions with symbols for values (`symbolic.py`, `instructions.py`): at the
entry each argument register holds `Argument(n)` and the stack pointer `Stack(0)`; moves, spills, loads and
pointer arithmetic are followed, on both sides of every branch, and whatever else writes a register makes
its value unknown. So what is reported is true on every run that gets there, and where that cannot be said,
`OpaqueError` is raised.

Meant for the small public wrappers of a library (tens of instructions), not for whole programs.
Calling convention: System V ABI, AMD64 supplement, 3.2.1 and 3.2.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from capstone import CS_ARCH_X86, CS_GRP_CALL, CS_GRP_JUMP, CS_GRP_RET, CS_MODE_64, Cs
from capstone.x86 import X86_OP_IMM, X86_OP_MEM

from pellucid.attach.instructions import VECTORS, ZERO, State, apply, called, choose, copy
from pellucid.attach.symbolic import Address, Argument, Constant, Stack, Target, Value, result

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf, Symbol

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")

_CALLER_SAVED = (*ARGUMENTS, "rax", "r10", "r11", *VECTORS, ZERO)
_LONGEST_FUNCTION = 4096  # bytes; a wrapper has 20 to 150
_MOST_STEPS = 5000  # instructions interpreted for one function; a wrapper takes 20 to 200
_ENDS = frozenset({"ud2", "hlt", "int3"})
_IF_ZERO = {"je": True, "jne": False, "cmove": True, "cmovne": False}
_COPIES = frozenset({"memcpy", "memmove"})

_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)  # [endbr64] [bnd] jmp *slot(%rip)
_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_EMULATED = re.compile(  # push; nop; call, jmp; jcc: arch/x86/kernel/uprobes.c, branch_/push_setup_xol_ops()
    rb"\x41?[\x50-\x57]|\x90|[\xe8\xe9\xeb]|[\x70-\x7f]|\x0f[\x80-\x8f]", re.DOTALL
)


class OpaqueError(Exception):
    """What a function does cannot be proven from its code; the text says why."""


class Callee(NamedTuple):
    """A call, or a jump at a function's end, to code of the same file."""

    address: int
    arguments: tuple[Value, ...]
    """What the six argument registers hold, in their order; None is unknown."""


class Condition(NamedTuple):
    """What a branch has found out about a value."""

    value: Value
    zero: bool
    """Whether it was zero."""


class Outcome(NamedTuple):
    """How a function can end."""

    value: Value
    """What it returns."""
    stored: dict[Address, Value]
    """What it has written through pointers; of a block that it has copied, the first byte."""
    conditions: frozenset[Condition]
    """What is known to have held on the way; there may be more that is not known."""


def callees(elf: Elf, function: Symbol) -> list[Callee]:
    """All calls that the function can make to code of its own file, one entry a call and path.

    A jump elsewhere at the function's end (a tail call) is one too. Calls to other files are left out.
    """
    return _Walk(elf, function).run().callees


def outcomes(elf: Elf, function: Symbol) -> list[Outcome]:
    """All ways in which the function can end, one a path; those that end the program are left out.

    Of one that goes on in the function's part for rare cases nothing is known: its value is None.
    """
    return _Walk(elf, function).run().outcomes


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


@dataclass
class _Point:
    """A place in the function, and what is known there."""

    address: int
    state: State
    conditions: frozenset[Condition]

    def branch(self, address: int, insn: Any, *, taken: bool) -> _Point:
        """Where one side of a conditional jump or move goes on, knowing what it was decided by."""
        if_zero, tested = _IF_ZERO.get(insn.mnemonic), self.state.get(ZERO)
        known = self.conditions
        if if_zero is not None and tested is not None:
            known |= {Condition(tested, zero=if_zero is taken)}
        return _Point(address, dict(self.state), known)

    def known(self, value: Value) -> Value:
        """The value, or 0 where it was found to be that."""
        return Constant(0) if Condition(value, zero=True) in self.conditions else value


class _Walk:
    """Interprets one function, collecting its calls and its outcomes."""

    def __init__(self, elf: Elf, function: Symbol) -> None:
        if not 0 < function.size <= _LONGEST_FUNCTION:
            raise OpaqueError(f"{function.name} is {function.size} bytes long")
        self.callees: list[Callee] = []
        self.outcomes: list[Outcome] = []
        self._elf = elf
        self._name = function.name
        self._addresses = range(function.address, function.address + function.size)
        decoder = Cs(CS_ARCH_X86, CS_MODE_64)
        decoder.detail = True
        code = elf.code(function.address, function.size)
        self._code = {insn.address: insn for insn in decoder.disasm(code, function.address)}

    def run(self) -> Self:
        """Follow every path from the entry, each place once for each state it is reached in."""
        entry: State = {register: Argument(number) for number, register in enumerate(ARGUMENTS)}
        pending = [_Point(self._addresses.start, entry | {"rsp": Stack(0)}, frozenset())]
        seen = set()
        while pending:
            point = pending.pop()
            place = point.address, frozenset(point.state.items()), point.conditions
            if point.address == self._addresses.stop or place in seen:
                continue  # past the end: behind a call that does not return, such as __stack_chk_fail
            seen.add(place)
            if len(seen) > _MOST_STEPS or point.address not in self._code:
                raise OpaqueError(f"{self._name} cannot be followed at {point.address:#x}")
            pending += self._step(self._code[point.address], point)
        return self

    def _step(self, insn: Any, point: _Point) -> list[_Point]:
        """Do what the instruction does; where execution can go on in this function, and with what."""
        following = insn.address + insn.size
        if insn.group(CS_GRP_RET):
            self._end(point, point.state.get("rax"))
            return []
        if insn.mnemonic in _ENDS:
            return []
        if insn.group(CS_GRP_CALL):
            self._call(insn, point.state)
        elif insn.group(CS_GRP_JUMP):
            inside = [point.branch(address, insn, taken=True) for address in self._jump(insn, point)]
            return (
                inside
                if insn.mnemonic.endswith("jmp")
                else [*inside, point.branch(following, insn, taken=False)]
            )
        elif insn.mnemonic.startswith("cmov"):
            both = [point.branch(following, insn, taken=taken) for taken in (True, False)]
            for branch, taken in zip(both, (True, False), strict=True):
                choose(insn, branch.state, taken=taken)
            return both
        else:
            apply(insn, point.state)
        return [_Point(following, point.state, point.conditions)]

    def _call(self, insn: Any, state: State) -> None:
        target = self._target(insn)
        self._report(target, state)
        returned = result(target, state.get("rdi"))
        if target in _COPIES:
            copy(state)
        for register in _CALLER_SAVED:
            state.pop(register, None)
        called(state)
        state["rax"] = returned

    def _jump(self, insn: Any, point: _Point) -> list[int]:
        """The target if it is in this function. Elsewhere, with the stack as it was at the entry, it
        is a tail call; else it is the function's own part for rare cases (`.cold`): errors.
        """
        target = self._target(insn)
        if isinstance(target, int) and target in self._addresses:
            return [target]
        if point.state.get("rsp") != Stack(0):
            self._end(point, None)
            return []
        self._report(target, point.state)
        self._end(point, result(target, point.state.get("rdi")))
        return []

    def _report(self, target: Target, state: State) -> None:
        if isinstance(target, int):
            self.callees.append(Callee(target, tuple(state.get(register) for register in ARGUMENTS)))

    def _end(self, point: _Point, value: Value) -> None:
        stored = {key: point.known(value) for key, value in point.state.items() if isinstance(key, Address)}
        self.outcomes.append(Outcome(point.known(value), stored, point.conditions))

    def _target(self, insn: Any) -> Target:
        """Where a call or jump goes."""
        operand = insn.operands[0]
        if operand.type == X86_OP_IMM:
            return self._through_stub(operand.imm) if self._elf.plt(operand.imm) else int(operand.imm)
        if operand.type == X86_OP_MEM and insn.reg_name(operand.mem.base) == "rip" and not operand.mem.index:
            return self._through_slot(insn.address + insn.size + operand.mem.disp)
        raise OpaqueError(
            f"the target of `{insn.mnemonic} {insn.op_str}` at {insn.address:#x} is known only at run time"
        )

    def _through_stub(self, address: int) -> Target:
        stub = _STUB.match(self._elf.code(address, 11))
        if stub is None:
            raise OpaqueError(f"the linkage table's entry at {address:#x} has an unknown form")
        displacement = int.from_bytes(stub[1], "little", signed=True)
        return self._through_slot(address + stub.end() + displacement)

    def _through_slot(self, slot: int) -> Target:
        """What a slot of the global offset table leads to; a function this file exports is its own."""
        name = self._elf.imported(slot)
        if name is None:
            raise OpaqueError(f"nothing says what the pointer at {slot:#x} leads to")
        symbol = self._elf.symbol(name)
        return symbol.address if symbol else name
