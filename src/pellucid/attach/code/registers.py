"""The names of x86_64 registers."""

from __future__ import annotations

from typing import Any

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
"""What a function gets its first six in (System V ABI, AMD64 supplement, 3.2.3)."""


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


def _vector_names() -> dict[str, str]:
    """Every name of a vector register, to its shortest one."""
    return {f"{size}mm{n}": f"xmm{n}" for size in "xyz" for n in range(32)}


REGISTERS = _register_names() | _vector_names()
"""By any of its names: what a register is called here, so that its parts are one."""
VECTORS = frozenset(_vector_names().values())
"""The vector registers: no function leaves them alone (System V ABI, AMD64 supplement, 3.2.1)."""

_NAMES: dict[int, str] = {}


def register_name(insn: Any, number: int) -> str:
    """Capstone's name of a register, by its number; empty for 0, which is none. Asking capstone each time takes
    a third of all the time that interpreting takes.
    """
    name = _NAMES.get(number)
    if name is None:
        name = _NAMES[number] = insn.reg_name(number) or ""
    return name
