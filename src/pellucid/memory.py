"""How `--memory` is divided: both processes together, without the ring, which is the kernel's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError

_MIB = 1 << 20

TRACER = 23 * _MIB
"""What the tracer comes to hold after the fork: 13.1 to 18.4 MiB at the most with 50 libraries of different content, while BPF
objects are loaded and code is read (capstone's tables are 5 of them; tests/kernel/test_tracer_memory.py); beside these, up to 4 MiB of files
that are none (`Roster`)."""

SHOWN = 16
"""How many times `--max-body` one message may take while it is shown: two bodies, each as sent, decoded, as
text, and as JSON (for one body 12 measured at worst: one emoji in text, which makes all of it four times as wide;
9 where every byte has to be escaped; 3 to 5 otherwise)."""

LEAST_SHOWN = 8 * _MIB
LEAST_HELD = 8 * _MIB

HELD = 2
"""How many times `--max-body` connections may hold at least: one body or text that comes, and one that waits."""

DRAINED = 1 / 8
"""Of what is left after the processes themselves: the two buffers of the drain thread. The ring stands behind
them, so they need to last only as long as the interpreter is away; more would only make the end longer."""

QUEUED = 4
"""How many times `--max-body` what waits for one connection (`tcp://`, `ws://`) may take."""

LEAST_QUEUED = 4 * _MIB

COMPRESSOR = 4 * _MIB
"""Of one compressed output (3.0 MiB measured)."""

USABLE = 3 / 4
"""Of what connections may hold: the rest is what the allocator cannot give back, for something lies between."""


DEFAULT = 120
"""MiB; more where a `--max-body` needs more and nobody has said how much there is."""

MOST_ASIDE = 16 << 20
"""Bytes for connections of which `--port` and `--host` cannot decide yet, where there is so much."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    drain: int
    """Of each of the two buffers that the ring is drained into."""
    held: int
    """Of all that connections hold (`parse.Limits.max_held`)."""
    aside: int
    """Of `held`'s part, for connections that are undecided (`join.Select`)."""
    queue: int = LEAST_QUEUED
    """Of what waits for each output that is a connection."""


def divide(
    mebibytes: int | None,
    max_body: int,
    processes: int,
    *,
    selecting: bool = False,
    remotes: int = 0,
    compressed: int = 0,
) -> Memory:
    """Divide what `--memory` gives, of which the processes take so many bytes before they hold anything.

    None is the default, or what `max_body` and the outputs need if that is more: so many are `remotes`, so many
    `compressed`. UsageError where what is given is too little.
    """
    queue = max(QUEUED * max_body, LEAST_QUEUED)
    processes += remotes * queue + compressed * COMPRESSOR
    shown = max(SHOWN * max_body, LEAST_SHOWN)
    least_held = max(HELD * max_body, LEAST_HELD)
    least = -(-(int((least_held / USABLE + shown) / (1 - DRAINED)) + processes) // _MIB)
    given = max(DEFAULT, least) if mebibytes is None else mebibytes
    if given < least:
        raise UsageError(
            f"--memory {given} is too little for --max-body {max_body}: "
            f"give it at least {least} (MiB), or a smaller --max-body"
        )
    buffers = given * _MIB - processes
    drained = int(buffers * DRAINED)
    held = int((buffers - drained - shown) * USABLE)
    aside = min(MOST_ASIDE, held // 2) if selecting else 0
    return Memory(drained // 2, held - aside, aside, queue)


def this_process() -> int:
    """Bytes that this process takes now."""
    return sum(_own_and_shared())


def tracer_and_decoder() -> int:
    """Bytes of both without any buffer, seen from a process that is about to fork.

    They share their code; everything else is soon each one's own.
    """
    own, shared = _own_and_shared()
    return 2 * own + shared + TRACER


def _own_and_shared() -> tuple[int, int]:
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    page = os.sysconf("SC_PAGE_SIZE")
    return (resident - shared) * page, shared * page
