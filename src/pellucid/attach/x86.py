"""Which functions does an x86_64 function call, and which of its own arguments does it hand them?

Answered by interpreting its instructions with symbols for values: at the entry each argument register
holds `Argument(n)` and the stack pointer `Stack(0)`; moves, spills and stack arithmetic are followed, on
both sides of every branch, and whatever else writes a register makes its value unknown. So what is
reported is true on every run that gets there, and where that cannot be said, `OpaqueError` is raised.

Meant for the small public wrappers of a library (tens of instructions), not for whole programs.
Calling convention: System V ABI, AMD64 supplement, 3.2.1 and 3.2.3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from capstone import CS_AC_WRITE, CS_ARCH_X86, CS_GRP_CALL, CS_GRP_JUMP, CS_GRP_RET, CS_MODE_64, Cs
from capstone.x86 import X86_OP_IMM, X86_OP_MEM, X86_OP_REG

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.attach.symbols import Elf, Symbol

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")

_CALLER_SAVED = (*ARGUMENTS, "rax", "r10", "r11")
_LONGEST_FUNCTION = 4096  # bytes; a wrapper has 20 to 150
_MOST_STEPS = 5000  # instructions interpreted for one function; a wrapper takes 20 to 200
_ENDS = frozenset({"ud2", "hlt", "int3"})

_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?\xf2?\xff\x25(....)", re.DOTALL)  # [endbr64] [bnd] jmp *slot(%rip)
_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_EMULATED = re.compile(  # push; nop; call, jmp; jcc: arch/x86/kernel/uprobes.c, branch_/push_setup_xol_ops()
    rb"\x41?[\x50-\x57]|\x90|[\xe8\xe9\xeb]|[\x70-\x7f]|\x0f[\x80-\x8f]", re.DOTALL
)


class OpaqueError(Exception):
    """What a function does with its arguments cannot be proven from its code; the text says why."""


class Argument(NamedTuple):
    """An argument of the function that is interpreted."""

    number: int
    whole: bool = True
    """False where only the lower 32 bits are known to be the argument's."""


class Stack(NamedTuple):
    """An address in the function's own stack frame."""

    offset: int
    """Bytes from where the stack pointer was at the entry: negative is the function's own."""


Value = Argument | Stack | int | None
"""What a register holds; an int is a constant, or an address in the file's own image."""
State = dict[str | int, Value]
"""What is known: by register (its 64-bit name) and by `Stack.offset` of spilled words."""


class Callee(NamedTuple):
    """A call, or a jump at a function's end, to code of the same file."""

    address: int
    arguments: tuple[Value, ...]
    """What the six argument registers hold, in their order; None is unknown."""


class Conduct(NamedTuple):
    """What a function does, on all its paths."""

    calls: list[tuple[int | None, tuple[Value, ...]]]
    """Every call and tail call: as `Callee`, the address being None for other files and pointers."""
    stores: bool
    """Whether it writes to memory other than its own stack frame."""
    balanced: bool
    """Whether each return finds the stack as it was at the entry: no code does that from its middle on."""


def callees(elf: Elf, function: Symbol) -> list[Callee]:
    """All calls that the function can make to code of its own file, one entry a call and path.

    A jump elsewhere at the function's end (a tail call) is one too. Calls to other files are left out.
    """
    walk = _Walk(elf, function)
    walk.run()
    return [Callee(address, arguments) for address, arguments in walk.calls if address is not None]


def instructions(elf: Elf, extent: range) -> set[int]:
    """Where instructions begin in a stretch of code that begins with one, as far as they make sense."""
    code = elf.code(extent.start, len(extent))
    return {address for address, *_ in Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(code, extent.start)}


def conduct(elf: Elf, function: Symbol) -> Conduct:
    """What the function does. Where its calls lead need not be known, unlike for `callees`."""
    walk = _Walk(elf, function, pointers=True)
    walk.run()
    return Conduct(walk.calls, walk.stores, walk.balanced)


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


class _Walk:
    """Interprets one function, collecting its calls.

    A call that goes wherever a pointer leads makes the function opaque, unless `pointers` are allowed.
    """

    def __init__(self, elf: Elf, function: Symbol, *, pointers: bool = False) -> None:
        if not 0 < function.size <= _LONGEST_FUNCTION:
            raise OpaqueError(f"{function.name} is {function.size} bytes long")
        self.calls: list[tuple[int | None, tuple[Value, ...]]] = []
        self.stores = False
        self.balanced = True
        self._pointers = pointers
        self._elf = elf
        self._name = function.name
        self._addresses = range(function.address, function.address + function.size)
        decoder = Cs(CS_ARCH_X86, CS_MODE_64)
        decoder.detail = True
        code = elf.code(function.address, function.size)
        self._code = {insn.address: insn for insn in decoder.disasm(code, function.address)}

    def run(self) -> None:
        """Follow every path from the entry, each place once for each state it is reached in."""
        entry: State = {register: Argument(number) for number, register in enumerate(ARGUMENTS)}
        pending = [(self._addresses.start, entry | {"rsp": Stack(0)})]
        seen: set[tuple[int, frozenset[tuple[str | int, Value]]]] = set()
        while pending:
            address, state = pending.pop()
            place = address, frozenset(state.items())
            if address == self._addresses.stop or place in seen:
                continue  # past the end: behind a call that does not return, such as __stack_chk_fail
            seen.add(place)
            if len(seen) > _MOST_STEPS or address not in self._code:
                raise OpaqueError(f"{self._name} cannot be followed at {address:#x}")
            pending += [(following, dict(state)) for following in self._step(self._code[address], state)]

    def _step(self, insn: Any, state: State) -> list[int]:
        """Change the state as the instruction does; where execution can go on in this function."""
        following: int = insn.address + insn.size
        if insn.group(CS_GRP_RET):
            self.balanced &= state.get("rsp") == Stack(0)
        if insn.group(CS_GRP_RET) or insn.mnemonic in _ENDS:
            return []
        if insn.group(CS_GRP_CALL):
            self._call(insn, state)
            return [following]
        if insn.group(CS_GRP_JUMP):
            inside = self._jump(insn, state)
            return inside if insn.mnemonic.endswith("jmp") else [*inside, following]
        self.stores |= _writes_elsewhere(insn, state)
        _EFFECTS.get(insn.mnemonic, _unknown)(insn, state)
        return [following]

    def _call(self, insn: Any, state: State) -> None:
        self._report(self._target(insn), state)
        for register in _CALLER_SAVED:
            state.pop(register, None)
        _forget_stack(state)  # the callee may hold the address of a local

    def _jump(self, insn: Any, state: State) -> list[int]:
        """The target if it is in this function. Elsewhere, with the stack as it was at the entry, it
        is a tail call; else it is the function's own part for rare cases (`.cold`): errors.
        """
        at_entry = state.get("rsp") == Stack(0)
        target = self._target(insn) if at_entry else self._destination(insn)  # in mid-frame: a table of cases
        if target is not None and target in self._addresses:
            return [target]
        if at_entry:
            self._report(target, state)
        return []

    def _report(self, target: int | None, state: State) -> None:
        self.calls.append((target, tuple(state.get(register) for register in ARGUMENTS)))

    def _target(self, insn: Any) -> int | None:
        """Where a call or jump goes in this file; None is another file, or where pointers are allowed
        a place that is not known.
        """
        try:
            return self._destination(insn)
        except OpaqueError:
            if not self._pointers:
                raise
            return None

    def _destination(self, insn: Any) -> int | None:
        operand = insn.operands[0]
        if operand.type == X86_OP_IMM:
            return self._through_stub(operand.imm) if self._elf.plt(operand.imm) else int(operand.imm)
        if operand.type == X86_OP_MEM and insn.reg_name(operand.mem.base) == "rip" and not operand.mem.index:
            return self._through_slot(insn.address + insn.size + operand.mem.disp)
        raise OpaqueError(
            f"the target of `{insn.mnemonic} {insn.op_str}` at {insn.address:#x} is known only at run time"
        )

    def _through_stub(self, address: int) -> int | None:
        stub = _STUB.match(self._elf.code(address, 11))
        if stub is None:
            raise OpaqueError(f"the linkage table's entry at {address:#x} has an unknown form")
        displacement = int.from_bytes(stub[1], "little", signed=True)
        return self._through_slot(address + stub.end() + displacement)

    def _through_slot(self, slot: int) -> int | None:
        """What a slot of the global offset table leads to; a function this file exports is its own."""
        name = self._elf.imported(slot)
        if name is None:
            raise OpaqueError(f"nothing says what the pointer at {slot:#x} leads to")
        symbol = self._elf.symbol(name)
        return symbol and symbol.address


# --- what single instructions do to the state --------------------------------------------------------


def _register_names() -> dict[str, str]:
    """Every name of a general register, to its 64-bit name."""
    names = {f"r{n}{part}": f"r{n}" for n in range(8, 16) for part in ("", "d", "w", "b")}
    for letter in "abcd":
        names |= dict.fromkeys(
            (f"r{letter}x", f"e{letter}x", f"{letter}x", f"{letter}l", f"{letter}h"), f"r{letter}x"
        )
    for pair in ("si", "di", "bp", "sp"):
        names |= dict.fromkeys((f"r{pair}", f"e{pair}", pair, f"{pair}l"), f"r{pair}")
    return names


_REGISTERS = _register_names()


def _cut(value: Value, size: int) -> Value:
    """What is known of a value of which only `size` bytes are moved."""
    if size == 8:
        return value
    if isinstance(value, int):
        return value & 0xFFFFFFFF if size == 4 else None
    return Argument(value.number, whole=False) if size == 4 and isinstance(value, Argument) else None


def _place(insn: Any, operand: Any, state: State) -> str | int | None:
    """The key of an operand in the state: a register, a word of the stack, or None for neither."""
    if operand.type == X86_OP_REG:
        return _REGISTERS.get(insn.reg_name(operand.reg))
    if operand.type == X86_OP_MEM and not operand.mem.index and not operand.mem.segment:
        base = state.get(_REGISTERS.get(insn.reg_name(operand.mem.base) or "", ""))
        return base.offset + operand.mem.disp if isinstance(base, Stack) else None
    return None


def _read(insn: Any, operand: Any, state: State) -> Value:
    if operand.type == X86_OP_IMM:
        return _cut(operand.imm, operand.size)
    place = _place(insn, operand, state)
    return None if place is None else _cut(state.get(place), operand.size)


def _write(insn: Any, operand: Any, state: State, value: Value) -> None:
    place = _place(insn, operand, state)
    if isinstance(place, str):
        state[place] = value
    elif isinstance(place, int):
        _store(state, place, operand.size, value)
    elif operand.type == X86_OP_MEM:
        _forget_stack(state)  # through a pointer that may point at the stack


def _store(state: State, offset: int, size: int, value: Value) -> None:
    for overlapping in range(offset - 7, offset + size):
        state.pop(overlapping, None)
    if isinstance(value, int) and size < 8:
        value = None  # what the rest of the word holds is not known
    state[offset] = value


def _forget_stack(state: State) -> None:
    for place in [place for place in state if isinstance(place, int)]:
        del state[place]


def _writes_elsewhere(insn: Any, state: State) -> bool:
    """Whether an instruction writes through an operand that is not known to be in the stack frame."""
    return any(
        operand.type == X86_OP_MEM and operand.access & CS_AC_WRITE and _place(insn, operand, state) is None
        for operand in insn.operands
    )


def _unknown(insn: Any, state: State) -> None:
    """Whatever the instruction writes is unknown afterwards."""
    for register in insn.regs_access()[1]:
        state.pop(_REGISTERS.get(insn.reg_name(register), ""), None)
    if any(operand.type == X86_OP_MEM and operand.access & CS_AC_WRITE for operand in insn.operands):
        _forget_stack(state)  # anywhere: a string instruction writes more than its operand


def _move(insn: Any, state: State) -> None:
    destination, source = insn.operands
    value = _cut(_read(insn, source, state), min(destination.size, source.size))
    _write(insn, destination, state, value)


def _address(insn: Any, state: State) -> None:
    destination, source = insn.operands
    place = _place(insn, source, state)
    value: Value = Stack(place) if isinstance(place, int) else None
    if insn.reg_name(source.mem.base) == "rip":
        value = insn.address + insn.size + source.mem.disp
    _write(insn, destination, state, _cut(value, destination.size))


def _push(insn: Any, state: State) -> None:
    value = _read(insn, insn.operands[0], state)
    top = state.get("rsp")
    _unknown(insn, state)
    if isinstance(top, Stack):
        state["rsp"] = Stack(top.offset - 8)
        _store(state, top.offset - 8, 8, value)


def _pop(insn: Any, state: State) -> None:
    top = state.get("rsp")
    _unknown(insn, state)
    if isinstance(top, Stack):
        state["rsp"] = Stack(top.offset + 8)
        _write(insn, insn.operands[0], state, state.get(top.offset))


def _leave(insn: Any, state: State) -> None:
    frame = state.get("rbp")
    _unknown(insn, state)
    if isinstance(frame, Stack):
        state["rsp"] = Stack(frame.offset + 8)
        state["rbp"] = state.get(frame.offset)


def _add(insn: Any, state: State, sign: int = 1) -> None:
    destination, amount = insn.operands
    value = _read(insn, destination, state)
    _unknown(insn, state)
    if isinstance(value, Stack) and amount.type == X86_OP_IMM:
        _write(insn, destination, state, Stack(value.offset + sign * amount.imm))


def _exclusive_or(insn: Any, state: State) -> None:
    one, other = insn.operands
    same = one.type == X86_OP_REG == other.type and one.reg == other.reg
    _unknown(insn, state)
    if same:
        _write(insn, one, state, _cut(0, one.size))


def _subtract(insn: Any, state: State) -> None:
    _add(insn, state, sign=-1)


_EFFECTS: dict[str, Callable[[Any, State], None]] = {
    "mov": _move,
    "movabs": _move,
    "movsxd": _move,
    "lea": _address,
    "push": _push,
    "pop": _pop,
    "leave": _leave,
    "add": _add,
    "sub": _subtract,
    "xor": _exclusive_or,
}
