"""The number that a user gives for a process."""

from __future__ import annotations

import re
from pathlib import Path

from pellucid.errors import PellucidError

_PF_KTHREAD = 0x00200000
"""linux/sched.h"""


def check_process(pid: int | None) -> None:
    """Raise `PellucidError` where there is no such process, or it is one that no library can be in."""
    if pid is None:
        return
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise no_process(pid) from None
    (leader,) = re.findall(r"^Tgid:\s*(\d+)$", status, re.MULTILINE)
    if int(leader) != pid:  # /proc shows threads to those who know their numbers (proc(5))
        raise PellucidError(f"{pid} is a thread of process {leader}: give --pid {leader}")
    if int(stat.rpartition(b")")[2].split()[6]) & _PF_KTHREAD:
        raise PellucidError(f"process {pid} is the kernel's own: it has no library to watch")


def no_process(pid: int) -> PellucidError:
    """The error that says so."""
    return PellucidError(f"there is no process {pid}")
