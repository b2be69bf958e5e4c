"""`--follow`: who is a descendant already when the capture begins.

The kernel hands ancestry on at each fork (bpf/follow.h) from the moment its hook is attached; what was forked
before is found here. A process that is made meanwhile is found by one of the two: the passes over /proc go on
until one finds nobody new. Ancestry is what /proc says at the start: a process whose parent has ended is a
child of init, and a stranger.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.pids import no_process

if TYPE_CHECKING:
    from pellucid.libbpf import BpfMap

PROC = Path("/proc")

_PF_EXITING = 0x4
"""linux/sched.h: set before the hook of an exit runs."""
_KEY = struct.Struct("<I")


class Stat(NamedTuple):
    """What /proc/PID/stat says of a thread (proc(5))."""

    parent: int
    exiting: bool


def seed(followed: BpfMap, pid: int) -> set[int]:
    """Enter a process and its descendants into the kernel's map, once its hooks are attached; who they were.

    PellucidError when there is no such process.
    """
    if not enter(followed, pid):
        raise no_process(pid)
    known, new = {pid}, {pid}
    while new:
        new = descendants(parents(), known) - known
        known |= new
        for child in new:
            enter(followed, child)
    return known


def descendants(parent_of: dict[int, int], ancestors: set[int]) -> set[int]:
    """All processes that descend from one of `ancestors`, by the parent of each process."""
    children: dict[int, list[int]] = {}
    for pid, parent in parent_of.items():
        children.setdefault(parent, []).append(pid)
    found, look_at = set(), [*ancestors]
    while look_at:
        for child in children.get(look_at.pop(), ()):
            if child not in found:
                found.add(child)
                look_at.append(child)
    return found


def children_of(pid: int, proc: Path = PROC) -> list[int]:
    """The children of a process that it has now; none where the kernel does not list them (CONFIG_PROC_CHILDREN)."""
    found: list[int] = []
    for task in (proc / str(pid) / "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += map(int, task.read_text().split())
    return found


def parents(proc: Path = PROC) -> dict[int, int]:
    """The parent of each process that exists now."""
    pids = [entry.name for entry in proc.iterdir() if entry.name.isdigit()]
    stats = ((int(pid), stat(proc / pid)) for pid in pids)
    return {pid: found.parent for pid, found in stats if found is not None}


def stat(task: Path) -> Stat | None:
    """What the folder of a process or thread says of it; None when it has ended."""
    try:
        line = (task / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    _, parent, _, _, _, _, flags, *_ = line.rpartition(b")")[2].split()
    return Stat(int(parent), bool(int(flags) & _PF_EXITING))


def enter(processes: BpfMap, pid: int, value: bytes = b"\1") -> bool:
    """Enter one process in a map of the kernel; false where it has ended, and has been taken out again.

    The kernel takes out whoever ends, but not before it was entered. While a thread has not begun to exit, the
    hook of the last one is still to come.
    """
    key = _KEY.pack(pid)
    processes.update(key, value)
    if _goes_on(PROC / str(pid)):
        return True
    processes.delete(key)
    return False


def _goes_on(process: Path) -> bool:
    try:
        threads = list((process / "task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(found is not None and not found.exiting for found in map(stat, threads))
