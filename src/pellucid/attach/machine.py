"""Probes of features that read what the kernel says in /proc and /sys. Each returns what it found.

All raise PellucidError, with what is wrong, where the feature is not there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Callable

CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""linux/capability.h"""

STATUS = Path("/proc/self/status")
MOUNTS = Path("/proc/self/mountinfo")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
CPUINFO = Path("/proc/cpuinfo")
UPROBE_PMU = Path("/sys/bus/event_source/devices/uprobe/type")
PID_NAMESPACE = Path("/proc/self/ns/pid")

PROC_PID_INIT_INO = 0xEFFFFFFC
"""linux/proc_ns.h: the inode of the pid namespace that all others are in."""


def root() -> str:
    """Whether this is root."""
    uid = os.geteuid()
    if uid != 0:
        raise PellucidError(f"this is uid {uid}")
    return "uid 0"


def capability(name: str) -> Callable[[], str]:
    """A probe for a capability that is in effect; CAP_SYS_ADMIN stands for each."""

    def probe() -> str:
        (mask,) = re.findall(r"^CapEff:\s*(\w+)$", STATUS.read_text(), re.MULTILINE)
        held = [one for one in (name, "CAP_SYS_ADMIN") if int(mask, 16) >> CAPABILITIES[one] & 1]
        if not held:
            raise PellucidError("not among the effective capabilities of this process")
        return "in effect" if held[0] == name else "CAP_SYS_ADMIN stands for it"

    return probe


def lockdown() -> str:
    """The lockdown mode in words, see kernel_lockdown(7)."""
    if not LOCKDOWN.exists():
        return "lockdown not in use, or securityfs not mounted"
    (mode,) = re.findall(r"\[(\w+)\]", LOCKDOWN.read_text())
    return f"lockdown: {mode}"


def process_numbers() -> str:
    """Whether processes have the same numbers here as in the kernel's own view."""
    if PID_NAMESPACE.stat().st_ino != PROC_PID_INIT_INO:
        raise PellucidError("this is in a pid namespace of its own, as containers are")
    return "the initial pid namespace"


def mounts(kind: str) -> list[str]:
    """Where whole file systems of this kind are mounted (proc(5), /proc/PID/mountinfo); a part of one, as containers
    have it, does not count.
    """
    found = []
    for line in MOUNTS.read_text(errors="surrogateescape").splitlines():
        mount, _, source = line.partition(" - ")
        root, point = mount.split()[3:5]
        if source.split()[0] == kind and root == "/":
            found.append(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point))
    return found


def mounted(kind: str) -> Callable[[], str]:
    """A probe for a file system that is mounted somewhere."""

    def probe() -> str:
        places = mounts(kind)
        if not places:
            raise PellucidError(f"no {kind} is mounted")
        return ", ".join(places)

    return probe


def has_shadow_stacks() -> bool:
    """Whether programs can have shadow stacks: this kernel was built for them, and the processor has them.

    The flag came with them: Linux kernel commit 2d39a6add422 "x86/shstk: Add user-mode shadow stack support".
    """
    return "user_shstk" in CPUINFO.read_text().split()


def perf_uprobe() -> str:
    """The perf device that makes single uprobes."""
    if not UPROBE_PMU.exists():
        raise PellucidError(f"no {UPROBE_PMU}")
    return f"perf event type {UPROBE_PMU.read_text().strip()}"


def tracefs() -> str:
    """The old way to make uprobes, which nothing needs where perf makes them."""
    places = mounts("tracefs")
    if not places:
        perf_uprobe()
    return f"{', '.join(places) or 'not mounted'}; not needed"
