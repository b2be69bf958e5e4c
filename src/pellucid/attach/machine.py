"""Probes of features that read what the kernel says in /proc and /sys. Each returns what it found.

All raise PellucidError, with what is wrong, where the feature is not there.
"""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.loader import ring_bytes
from pellucid.errors import PellucidError
from pellucid.libbpf import has_uprobe_multi
from pellucid.libbpf.trial import has_helper
from pellucid.settings import Tls

if TYPE_CHECKING:
    from collections.abc import Callable

CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""linux/capability.h"""

LOCKDOWN = Path("/sys/kernel/security/lockdown")
UPROBE_PMU = Path("/sys/bus/event_source/devices/uprobe/type")
KTIME_GET_COARSE_NS = 160
"""The helper of enum bpf_func_id that came with memory accounting by cgroup; libbpf tests for it too."""


def default_ring() -> int:
    """Bytes of the ring with the default `--mapsize`."""
    return ring_bytes(Tls().mapsize)


def mebibytes(size: int) -> str:
    """A size for a person."""
    return f"{size / (1 << 20):g} MiB"


def root() -> str:
    """Whether this is root."""
    uid = os.geteuid()
    if uid != 0:
        raise PellucidError(f"this is uid {uid}")
    return "uid 0"


def capability(name: str) -> Callable[[], str]:
    """A probe for a capability that is in effect; CAP_SYS_ADMIN stands for each."""

    def probe() -> str:
        (mask,) = re.findall(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
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


def memlock() -> str:
    """Whether the limit of locked memory leaves room for the ring, where the kernel charges it at all."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    text = "no limit" if limit == resource.RLIM_INFINITY else mebibytes(limit)
    if has_helper(KTIME_GET_COARSE_NS):
        return f"{text}; this kernel does not charge BPF to it"
    if limit not in {resource.RLIM_INFINITY, *range(2 * default_ring(), limit + 1)[-1:]}:
        raise PellucidError(f"{text}, and the ring is charged to it")
    return text


def mounts(kind: str) -> list[str]:
    """Where file systems of this kind are mounted (proc(5), /proc/PID/mountinfo)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        mount, _, source = line.partition(" - ")
        if source.split()[0] == kind:
            found.append(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4]))
    return found


def mounted(kind: str) -> Callable[[], str]:
    """A probe for a file system that is mounted somewhere."""

    def probe() -> str:
        places = mounts(kind)
        if not places:
            raise PellucidError(f"no {kind} is mounted")
        return ", ".join(places)

    return probe


def perf_uprobe() -> str:
    """The perf device that makes single uprobes."""
    if not UPROBE_PMU.exists():
        raise PellucidError(f"no {UPROBE_PMU}")
    return f"perf event type {UPROBE_PMU.read_text().strip()}"


def uprobe_multi() -> str:
    """Links that hold many uprobes."""
    if not has_uprobe_multi():
        raise PellucidError("the kernel does not know them, or filters them by thread")
    return "one link for each file and program"


def uprobe() -> str:
    """Either way to make uprobes."""
    return "uprobe_multi" if has_uprobe_multi() else perf_uprobe()


def tracefs() -> str:
    """The old interface to uprobes, which nothing needs that has a newer one."""
    places = mounts("tracefs")
    if places:
        return ", ".join(places)
    uprobe()
    return "not mounted, and not needed"
