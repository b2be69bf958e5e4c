"""Servers whose plaintext is seen at their sockets (bpf/plain.h), so that their calls need not be probed.

Probes are left where a connection turns to TLS and where TLS is read and written, for what goes through the socket
there is no plaintext. A file qualifies where all of these are sure to be hit: none was inlined into its caller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pellucid.attach import machine
from pellucid.attach.code.x86 import OpaqueError, conduct
from pellucid.attach.loader import SOCKET_TRACEPOINTS
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError
from pellucid.libbpf import trial
from pellucid.log import log

if TYPE_CHECKING:
    from pellucid.attach.library import Library, Plain
    from pellucid.attach.symbols import Symbol
    from pellucid.attach.targets import FoundTarget


def check_kernel() -> None:
    """PellucidError with the reason where this kernel does not tell of sockets, or of processes by other numbers."""
    machine.process_numbers()
    for _, name in SOCKET_TRACEPOINTS:
        trial.try_tracepoint(name)
    for number in (trial.GET_CURRENT_TASK_BTF, trial.TASK_PT_REGS):
        if not trial.has_helper(number, trial.RAW_TRACEPOINT):
            raise PellucidError(f"the kernel refuses helper {number}")


def at_sockets(found: FoundTarget, library: Library) -> Library | None:
    """The family as it is probed then; None where each of its calls has to be, for the reason in the log."""
    plain = library.plain
    if plain is None:
        return None
    with Elf(found.path) as elf:
        doubt = _doubt(elf, plain, found)
    if doubt:
        log.debug("%s: each call is probed: %s", found.display, doubt)
        return None
    return replace(
        library, calls=plain.calls, seals=plain.seals, made=library.created, created=(), starts=True
    )


def _doubt(elf: Elf, plain: Plain, found: FoundTarget) -> str:
    """What is not certain: whether it is a program, has everything that encrypts, and calls it where the source does."""
    if found.how != "symbols":
        return "its functions are not those that its own symbols name"
    if elf.soname or not elf.executable(elf.entry):
        return "it is a library"
    missing = [name for name in plain.required if name not in found.functions]
    if missing:
        return f"it has no function {missing[0]}"
    for name, caller in plain.callers.items():
        if name in found.functions and not _calls(elf, found.functions.get(caller), found.functions[name]):
            return f"no call of {name} is found in {caller}"
    return ""


def _calls(elf: Elf, caller: Symbol | None, function: Symbol) -> bool:
    if caller is None or elf.machine != "x86_64":
        return False  # nobody here reads the code of another machine
    try:
        return any(address == function.address for address, _ in conduct(elf, caller).calls)
    except OpaqueError:
        return False
