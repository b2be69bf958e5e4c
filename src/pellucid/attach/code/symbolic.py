"""What can be known of a value while a function is interpreted without running it.

Each value is an expression over the function's own arguments: `Load(Argument(0), 0xA8, 8)` is the pointer
at offset 0xa8 of what the first argument points to. What cannot be said so is None.
"""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

DEEPEST = 6  # expressions inside one another: no accessor needs more, and a loop over a list has no end


class Argument(NamedTuple):
    """An argument of the function that is interpreted."""

    number: int
    whole: bool = True
    """False where only the lower 32 bits are known to be the argument's."""


class Stack(NamedTuple):
    """An address in the function's own stack frame."""

    offset: int
    """Bytes from where the stack pointer was at the entry: negative is the function's own."""


class Constant(NamedTuple):
    """A number that stands in the code, or an address in the file's own image."""

    number: int


class Result(NamedTuple):
    """What another function returned."""

    target: Target
    argument: Value
    """What it got as its first argument."""
    whole: bool = True
    """False where only the lower 32 bits are known to be the result's."""


class Address(NamedTuple):
    """A place at a distance from where a pointer points."""

    base: Pointer
    offset: int


class Load(NamedTuple):
    """What memory holds, zero-extended."""

    base: Pointer
    offset: int
    size: int
    """In bytes."""


class Bits(NamedTuple):
    """Some bits of what memory holds, moved down by `shift`."""

    source: Load
    mask: int
    """The bits, as they lie in `source`."""
    shift: int = 0


class Low(NamedTuple):
    """The lower bytes of a register, of which more is not known."""

    value: Load | Bits
    size: int
    """In bytes: 1 or 2."""


Target = int | str
"""A function: its virtual address in this file, or its name in another one."""
Pointer = Argument | Result | Load
Value = Pointer | Stack | Constant | Address | Bits | Low | None


def cut(value: Value, size: int) -> Value:
    """What is known of a value's lower `size` bytes, zero-extended."""
    if isinstance(value, Low):
        return value if value.size < size else cut(value.value, size)
    if isinstance(value, Load):
        return value._replace(size=min(size, value.size))  # little endian
    if isinstance(value, Constant):
        return Constant(value.number & (1 << 8 * size) - 1)
    if size == 8 or (isinstance(value, Bits) and value.source.size <= size):
        return value
    return value._replace(whole=False) if isinstance(value, Argument | Result) and size == 4 else None


def plus(value: Value, amount: int) -> Value:
    """A pointer moved by `amount` bytes."""
    if isinstance(value, Stack):
        return Stack(value.offset + amount)
    moved = place(value, amount)
    return moved.base if moved and moved.offset == 0 else moved


def place(value: Value, displacement: int) -> Address | None:
    """The memory at `displacement` bytes from where a value points; None for the stack and the unknown."""
    if isinstance(value, Address):
        return Address(value.base, value.offset + displacement)
    return Address(value, displacement) if _pointer(value) else None


def load(source: Address, size: int) -> Value:
    """What memory holds there; None where the expression is deeper than any that is of use."""
    value = Load(source.base, source.offset, size)
    return value if _depth(value) <= DEEPEST else None


def result(target: Target, argument: Value) -> Value:
    """What a function returns that got `argument` first."""
    return Result(target, argument if _depth(argument) < DEEPEST else None)


def low(value: Value, size: int) -> Value:
    """A register of which only the lower `size` bytes were written."""
    return Low(value, size) if isinstance(value, Load | Bits) else None


def masked(value: Value, mask: int) -> Value:
    """The bits of a value that `mask` names."""
    if isinstance(value, Constant):
        return Constant(value.number & mask)
    if isinstance(value, Low) and 0 <= mask < 1 << 8 * value.size:
        value = value.value
    if isinstance(value, Load):
        value = _all_bits(value)
    if isinstance(value, Bits):
        return value._replace(mask=value.mask & mask << value.shift)
    return None


def shifted(value: Value, count: int) -> Value:
    """A value moved down by `count` bits."""
    if isinstance(value, Load):
        value = _all_bits(value)
    if isinstance(value, Bits):
        shift = value.shift + count
        return Bits(value.source, value.mask >> shift << shift, shift)
    return None


def _all_bits(value: Load) -> Bits:
    return Bits(value, (1 << 8 * value.size) - 1)


def _pointer(value: Value) -> TypeGuard[Pointer]:
    """Whether all 64 bits of it are known to be one thing."""
    if isinstance(value, Argument | Result):
        return value.whole
    return isinstance(value, Load) and value.size == 8


def _depth(value: Value) -> int:
    if isinstance(value, Load | Address):
        return 1 + _depth(value.base)
    if isinstance(value, Result):
        return 1 + _depth(value.argument)
    return 1 + _depth(value.source) if isinstance(value, Bits) else 0
