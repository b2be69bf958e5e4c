"""What single x86_64 instructions do to what is known, by mnemonic; the rest makes unknown what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.attach.code.disassembly import IMMEDIATE, MEMORY, REGISTER, WRITTEN
from pellucid.attach.code.registers import REGISTERS, register_name
from pellucid.attach.code.symbolic import (
    Address,
    Argument,
    Bits,
    Constant,
    Load,
    Result,
    Stack,
    Value,
    cut,
    load,
    low,
    masked,
    place,
    plus,
    shifted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ZERO = "zf"
"""The key of the value that the zero flag says whether it is zero."""

Key = str | int | Address
State = dict[Key, Value]
"""What is known: by register (its 64-bit name), by `Stack.offset` of spilled words, and by the place that
was written through a pointer."""


EXPOSED = "exposed"
"""The key that is there when somebody else may know an address in the frame."""


def apply(insn: Any, state: State) -> None:
    """Change the state as an instruction does that is no jump, call or return."""
    if _exposes(insn, state):
        state[EXPOSED] = None
    _EFFECTS.get(insn.mnemonic, _unknown)(insn, state)


def choose(insn: Any, state: State, *, taken: bool) -> None:
    """The effect of a conditional move."""
    destination, source = insn.operands
    _write(insn, destination, state, _read(insn, source if taken else destination, state))


def writes_elsewhere(insn: Any, state: State) -> bool:
    """Whether an instruction writes through an operand that is not known to be in the stack frame."""
    return any(
        operand.type == MEMORY
        and operand.access & WRITTEN
        and not isinstance(_place(insn, operand, state), int)
        for operand in insn.operands
    )


def bytes_read(insn: Any, state: State) -> set[Address]:
    """The places of single bytes that an instruction moves to a register."""
    if insn.mnemonic not in {"mov", "movzx"}:
        return set()
    source = insn.operands[1]
    place = _place(insn, source, state) if source.type == MEMORY and source.size == 1 else None
    return {place} if isinstance(place, Address) else set()


def called(state: State) -> None:
    """A function was called: it may have written to the frame, if it can know where that is."""
    if EXPOSED in state or not isinstance(state.get("rsp"), Stack):
        state[EXPOSED] = None
        forget_stack(state)


def _exposes(insn: Any, state: State) -> bool:
    """Whether an address in the frame gets into anything but the stack and frame pointers."""
    first = insn.operands[0] if insn.operands else None
    if first and first.type == REGISTER and register_name(insn, first.reg) in {"rsp", "rbp"}:
        return bool(insn.mnemonic == "push")
    named = [operand.reg for operand in insn.operands if operand.type == REGISTER]
    if insn.mnemonic == "lea":
        named += [insn.operands[1].mem.base, insn.operands[1].mem.index]
    return any(isinstance(_register(insn, number, state), Stack) for number in named)


def copy(state: State) -> None:
    """What `memcpy(rdi, rsi, rdx)` does: the first byte of its destination is that of its source."""
    destination, source = place(state.get("rdi"), 0), place(state.get("rsi"), 0)
    if destination is not None:
        state[destination] = None if source is None else load(source, 1)
    forget_stack(state)


def forget_stack(state: State) -> None:
    """Somebody may have written anywhere in the frame."""
    for offset in [key for key in state if isinstance(key, int)]:
        del state[offset]


def _place(insn: Any, operand: Any, state: State) -> Key | None:
    """The key of an operand in the state, or None where nothing is known of the place."""
    if operand.type == REGISTER:
        return REGISTERS.get(register_name(insn, operand.reg))
    if operand.type == MEMORY and not operand.mem.segment:
        base, index = _register(insn, operand.mem.base, state), _register(insn, operand.mem.index, state)
        displacement = operand.mem.disp
        if operand.mem.index:
            if not isinstance(index, Constant):
                return None
            displacement += _signed(index.number) * operand.mem.scale
        return base.offset + displacement if isinstance(base, Stack) else place(base, displacement)
    return None


def _register(insn: Any, number: int, state: State) -> Value:
    """What is known of a register by capstone's number; 0 is none."""
    return state.get(REGISTERS.get(register_name(insn, number) or "", ""))


def _read(insn: Any, operand: Any, state: State) -> Value:
    if operand.type == IMMEDIATE:
        return cut(Constant(operand.imm), operand.size)
    key = _place(insn, operand, state)
    if isinstance(key, Address):
        return load(key, operand.size)
    if key is None or _high(insn, operand) or (isinstance(key, int) and operand.size > 8):
        return None
    return cut(state.get(key), operand.size)


def _high(insn: Any, operand: Any) -> bool:
    """Whether an operand is the second byte of a register: ah, bh, ch, dh."""
    return operand.type == REGISTER and register_name(insn, operand.reg) in {"ah", "bh", "ch", "dh"}


def _write(insn: Any, operand: Any, state: State, value: Value) -> None:
    key = _place(insn, operand, state)
    if isinstance(key, str):
        part = operand.size < 4 and not _fits(state.get(key), operand.size)
        state[key] = low(value, operand.size) if part else value
    elif isinstance(key, int):
        _store(state, key, operand.size, value)
    elif operand.type == MEMORY:
        forget_stack(state)  # through a pointer that may point at the stack
        if key is not None:
            state[key] = value


def _fits(value: Value, size: int) -> bool:
    """Whether a register is zero above `size` bytes, which stay as they are when these are written."""
    source = value.source if isinstance(value, Bits) else value
    return isinstance(source, Load) and source.size <= size


def _store(state: State, offset: int, size: int, value: Value) -> None:
    for overlapping in range(offset - 7, offset + size):
        state.pop(overlapping, None)
    if size == 8 or isinstance(value, Argument | Result):  # of a shorter word it is not kept how long it is
        state[offset] = value


def _unknown(insn: Any, state: State) -> None:
    """Whatever the instruction writes is unknown afterwards."""
    state.pop(ZERO, None)
    for operand in insn.operands:
        if operand.type == MEMORY and operand.access & WRITTEN:
            _write(insn, operand, state, None)
            forget_stack(state)  # anywhere: a string instruction writes more than its operand
    for register in insn.regs_access()[1]:
        state.pop(REGISTERS.get(register_name(insn, register), ""), None)


def _move(insn: Any, state: State) -> None:
    destination, source = insn.operands
    value = cut(_read(insn, source, state), min(destination.size, source.size))
    _write(insn, destination, state, value)


def _extend_sign(insn: Any, state: State) -> None:
    """An argument's lower half, or a result's, stays what it is; above it is only its sign."""
    destination, source = insn.operands
    value = _read(insn, source, state)
    _write(insn, destination, state, value if isinstance(value, Argument | Result) else None)


def _address(insn: Any, state: State) -> None:
    destination, source = insn.operands
    key = _place(insn, source, state)
    value = Stack(key) if isinstance(key, int) else plus(key, 0) if isinstance(key, Address) else None
    if register_name(insn, source.mem.base) == "rip":
        value = Constant(insn.address + insn.size + source.mem.disp)
    _write(insn, destination, state, cut(value, destination.size))


def _push(insn: Any, state: State) -> None:
    value = _read(insn, insn.operands[0], state)
    top = state.get("rsp")
    state.pop("rsp", None)
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
    augend, addend = _read(insn, destination, state), _read(insn, amount, state)
    _unknown(insn, state)
    if isinstance(augend, Constant) and sign == 1:
        augend, addend = addend, augend
    if isinstance(addend, Constant) and destination.size == 8:
        _write(insn, destination, state, plus(augend, sign * _signed(addend.number)))


def _signed(number: int) -> int:
    """A 64-bit register's content as a signed number."""
    return (number & (1 << 64) - 1 ^ 1 << 63) - (1 << 63)


def _subtract(insn: Any, state: State) -> None:
    _add(insn, state, sign=-1)


def _test(insn: Any, state: State) -> None:
    first, second = insn.operands
    value, mask = _read(insn, first, state), _read(insn, second, state)
    if isinstance(mask, Constant):
        value = masked(value, mask.number)
    elif value != mask:
        value = None
    state[ZERO] = value


def _compare(insn: Any, state: State) -> None:
    first, second = insn.operands
    with_zero = _read(insn, second, state) == Constant(0)
    state[ZERO] = _read(insn, first, state) if with_zero else None


def _and(insn: Any, state: State) -> None:
    destination, mask = (_read(insn, operand, state) for operand in insn.operands)
    value = masked(destination, mask.number) if isinstance(mask, Constant) else None
    _write(insn, insn.operands[0], state, value)
    state[ZERO] = value


def _shift_right(insn: Any, state: State) -> None:
    destination, count = (_read(insn, operand, state) for operand in insn.operands)
    value = shifted(destination, count.number) if isinstance(count, Constant) else None
    _write(insn, insn.operands[0], state, value)
    state[ZERO] = None


def _copy_string(insn: Any, state: State) -> None:
    """A block copy; upwards, for the ABI wants the direction flag clear at every call."""
    copy(state)
    for register in insn.regs_access()[1]:
        state.pop(REGISTERS.get(register_name(insn, register), ""), None)


def _exclusive_or(insn: Any, state: State) -> None:
    first, second = insn.operands
    _unknown(insn, state)
    if first.type == second.type == REGISTER and first.reg == second.reg:
        _write(insn, first, state, Constant(0))


def _nothing(insn: Any, state: State) -> None:
    """What leaves registers, memory and flags as they were."""


_MOVES = ("mov", "movabs", "movzx", "movups", "movaps", "movdqu", "movdqa", "vmovups", "vmovdqu")
_EFFECTS: dict[str, Callable[[Any, State], None]] = dict.fromkeys(_MOVES, _move) | {
    "movsxd": _extend_sign,
    "lea": _address,
    "push": _push,
    "pop": _pop,
    "leave": _leave,
    "add": _add,
    "sub": _subtract,
    "test": _test,
    "cmp": _compare,
    "and": _and,
    "shr": _shift_right,
    "xor": _exclusive_or,
    "rep movsb": _copy_string,
    "rep movsd": _copy_string,
    "rep movsq": _copy_string,
    "nop": _nothing,
    "endbr64": _nothing,
}
