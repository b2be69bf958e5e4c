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
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pellucid.attach.code.disassembly import CALL, IMMEDIATE, JUMP, MEMORY, RETURN, disassembler
from pellucid.attach.code.instructions import (
    EXPOSED,
    ZERO,
    State,
    apply,
    bytes_read,
    called,
    choose,
    copy,
    writes_elsewhere,
)
from pellucid.attach.code.registers import ARGUMENTS, VECTORS, register_name
from pellucid.attach.code.symbolic import Address, Argument, Constant, Stack, Target, Value, result

if TYPE_CHECKING:
    from pellucid.attach.symbols import Elf, Symbol

_CALLER_SAVED = (*ARGUMENTS, "rax", "r10", "r11", *VECTORS, ZERO)
_LONGEST_FUNCTION = 4096  # bytes; a wrapper has 20 to 150
_MOST_STEPS = 5000  # instructions interpreted for one function; a wrapper takes 20 to 200
_ROUNDS = 8  # of a loop that are looked at one by one
_ENDS = frozenset({"ud2", "hlt", "int3"})
_IF_ZERO = {"je": True, "jne": False, "cmove": True, "cmovne": False}
_COPIES = frozenset({"memcpy", "memmove"})

_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)  # [endbr64] [bnd] jmp *slot(%rip)


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


class Conduct(NamedTuple):
    """What a function does, on all its paths."""

    calls: list[tuple[int | None, tuple[Value, ...]]]
    """Every call and tail call: as `Callee`, the address being None for other files and pointers."""
    stores: bool
    """Whether it writes to memory other than its own stack frame."""
    balanced: bool
    """Whether each return finds the stack as it was at the entry: no code does that from its middle on."""
    unknown: str = ""
    """Which call goes wherever a pointer leads, where one does."""
    bytes: frozenset[Address] = frozenset()
    """From where it reads single bytes."""


def conduct(elf: Elf, function: Symbol, *, loops: bool = False) -> Conduct:
    """What the function does. Where its calls lead need not be known, unlike for `callees`.

    With `loops` it may go round: of what changes from one time to the next, the first few values are known.
    """
    walk = _Walk(elf, function, rounds=_ROUNDS if loops else None).run()
    calls = [(target if isinstance(target, int) else None, arguments) for target, arguments in walk.calls]
    return Conduct(calls, walk.stores, walk.balanced, walk.unknown, frozenset(walk.bytes))


def callees(does: Conduct) -> list[Callee]:
    """All calls that a function can make to code of its own file, one entry a call and path.

    A jump elsewhere at the function's end (a tail call) is one too. Calls to other files are left out.
    """
    if does.unknown:
        raise OpaqueError(does.unknown)
    return [Callee(address, arguments) for address, arguments in does.calls if address is not None]


def outcomes(elf: Elf, function: Symbol) -> list[Outcome]:
    """All ways in which the function can end, one a path; those that end the program are left out.

    Of one that goes on in the function's part for rare cases nothing is known: its value is None.
    """
    walk = _Walk(elf, function, conditions=True).run()
    if walk.unknown:
        raise OpaqueError(walk.unknown)
    return walk.outcomes


def instructions(elf: Elf, extent: range) -> set[int]:
    """Where instructions begin in a stretch of code that begins with one, as far as they make sense."""
    code = elf.code(extent.start, len(extent))
    return {address for address, *_ in disassembler(detail=False).disasm_lite(code, extent.start)}


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


_GROUPS: dict[int, frozenset[int]] = {}
"""By instruction (capstone's number), what kinds it is of: asking capstone takes ten times as long."""


def _groups(insn: Any) -> frozenset[int]:
    found = _GROUPS.get(insn.id)
    if found is None:
        found = _GROUPS[insn.id] = frozenset(insn.groups)
    return found


class _Walk:
    """Interprets one function, collecting what it does.

    With `conditions` paths are kept apart by what decided for them, and their outcomes collected.
    """

    def __init__(
        self, elf: Elf, function: Symbol, *, conditions: bool = False, rounds: int | None = None
    ) -> None:
        if not 0 < function.size <= _LONGEST_FUNCTION:
            raise OpaqueError(f"{function.name} is {function.size} bytes long")
        self.calls: list[tuple[Target | None, tuple[Value, ...]]] = []
        self.outcomes: list[Outcome] = []
        self.stores = False
        self.balanced = True
        self.unknown = ""
        self.bytes: set[Address] = set()
        self._conditions = conditions
        self._rounds = rounds
        self._last: dict[int, State] = {}
        self._times: Counter[int] = Counter()
        self._elf = elf
        self._name = function.name
        self._addresses = range(function.address, function.address + function.size)
        code = elf.code(function.address, function.size)
        self._code = {insn.address: insn for insn in disassembler(detail=True).disasm(code, function.address)}

    def run(self) -> Self:
        """Follow every path from the entry, each place once for each state it is reached in."""
        entry: State = {register: Argument(number) for number, register in enumerate(ARGUMENTS)}
        pending = [_Point(self._addresses.start, entry | {"rsp": Stack(0)}, frozenset())]
        seen = set()
        while pending:
            point = pending.pop()
            self._forget_what_varies(point)
            place = self._place(point)
            if point.address == self._addresses.stop or place in seen:
                continue  # past the end: behind a call that does not return, such as __stack_chk_fail
            seen.add(place)
            if len(seen) > _MOST_STEPS or point.address not in self._code:
                raise OpaqueError(f"{self._name} cannot be followed at {point.address:#x}")
            pending += self._step(self._code[point.address], point)
        return self

    def _forget_what_varies(self, point: _Point) -> None:
        """Where execution has come by `rounds` times, go on with what was the same the last time."""
        self._times[point.address] += 1
        if self._rounds is None or self._times[point.address] <= self._rounds:
            return
        state, last = point.state, self._last.get(point.address, point.state)
        for key in [key for key in state if key != EXPOSED and state[key] != last.get(key)]:
            del state[key]
        self._last[point.address] = dict(state)

    def _place(self, point: _Point) -> tuple[object, ...]:
        """What tells apart the times that execution comes by: nothing more, or paths multiply."""
        if self._conditions:
            return point.address, frozenset(point.state.items()), point.conditions
        return point.address, frozenset(
            item for item in point.state.items() if item[0] != ZERO and not isinstance(item[0], Address)
        )

    def _step(self, insn: Any, point: _Point) -> list[_Point]:
        """Do what the instruction does; where execution can go on in this function, and with what."""
        following = insn.address + insn.size
        groups = _groups(insn)
        if RETURN in groups:
            self.balanced &= point.state.get("rsp") == Stack(0)
            self._end(point, point.state.get("rax"))
            return []
        if insn.mnemonic in _ENDS:
            return []
        if CALL in groups:
            self._call(insn, point.state)
        elif JUMP in groups:
            passed = [] if insn.mnemonic.endswith("jmp") else [point.branch(following, insn, taken=False)]
            return self._jump(insn, point) + passed
        elif insn.mnemonic.startswith("cmov"):
            moved, kept = (point.branch(following, insn, taken=taken) for taken in (True, False))
            choose(insn, moved.state, taken=True)
            choose(insn, kept.state, taken=False)
            return [moved, kept]
        else:
            self.stores |= writes_elsewhere(insn, point.state)
            self.bytes |= bytes_read(insn, point.state)
            apply(insn, point.state)
        return [_Point(following, point.state, point.conditions)]

    def _call(self, insn: Any, state: State) -> None:
        target = self._target(insn)
        self._report(target, state)
        returned = None if target is None else result(target, state.get("rdi"))
        if target in _COPIES:
            copy(state)
        for register in _CALLER_SAVED:
            state.pop(register, None)
        called(state)
        state["rax"] = returned

    def _jump(self, insn: Any, point: _Point) -> list[_Point]:
        """Where a jump that is taken goes on in this function. Elsewhere, with the stack as it was at the
        entry, it is a tail call; else it is the function's own part for rare cases (`.cold`): errors.
        """
        at_entry = point.state.get("rsp") == Stack(0)
        target = self._target(insn) if at_entry else self._destination(insn)  # in mid-frame: a table of cases
        if isinstance(target, int) and target in self._addresses:
            return [point.branch(target, insn, taken=True)]
        leaving = point.branch(insn.address, insn, taken=True)
        if at_entry:
            self._report(target, leaving.state)
            self._end(leaving, None if target is None else result(target, leaving.state.get("rdi")))
        else:
            self._end(leaving, None)
        return []

    def _report(self, target: Target | None, state: State) -> None:
        self.calls.append((target, tuple(state.get(register) for register in ARGUMENTS)))

    def _end(self, point: _Point, value: Value) -> None:
        if not self._conditions:
            return
        stored = {key: point.known(value) for key, value in point.state.items() if isinstance(key, Address)}
        self.outcomes.append(Outcome(point.known(value), stored, point.conditions))

    def _target(self, insn: Any) -> Target | None:
        """Where a call or jump goes; None is wherever a pointer leads."""
        try:
            return self._destination(insn)
        except OpaqueError as opaque:
            self.unknown = self.unknown or str(opaque)
            return None

    def _destination(self, insn: Any) -> Target:
        operand = insn.operands[0]
        if operand.type == IMMEDIATE:
            return self._through_stub(operand.imm) if self._elf.plt(operand.imm) else int(operand.imm)
        if (
            operand.type == MEMORY
            and register_name(insn, operand.mem.base) == "rip"
            and not operand.mem.index
        ):
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
