"""Probes of features that ask the kernel for the thing itself. Each returns what it found.

All raise PellucidError, with the kernel's reason, where the feature is not there.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from pellucid.attach import machine
from pellucid.attach.loaded import ring_bytes
from pellucid.attach.loader import SOCKET_TRACEPOINTS, TRACEPOINTS
from pellucid.attach.packets.pcap_filter import compile_filter
from pellucid.errors import PellucidError
from pellucid.libbpf import has_uprobe_multi, possible_cpus, trial
from pellucid.pcapng import ETHERNET
from pellucid.settings import Tls

if TYPE_CHECKING:
    from collections.abc import Callable


def program() -> str:
    """Whether bpf(2) loads anything at all for this process."""
    trial.try_program()
    return "programs may be loaded"


def kernel_types() -> str:
    """The kernel's own BTF."""
    trial.try_kernel_types()
    return "the kernel's types are known"


def helper(number: int, kind: int = trial.KPROBE) -> Callable[[], str]:
    """A probe for a helper that programs of a kind call; uprobe programs where nothing is said."""

    def probe() -> str:
        if not trial.has_helper(number, kind):
            raise PellucidError(f"the kernel refuses helper {number}")
        return "the kernel has it"

    return probe


def kernel_memory() -> str:
    """Reading kernel memory, which lockdown may forbid."""
    if not trial.has_helper(trial.PROBE_READ_KERNEL):
        raise PellucidError(f"the kernel forbids it; {machine.lockdown()}")
    return f"allowed; {machine.lockdown()}"


def _default_ring() -> int:
    return ring_bytes(Tls().mapsize)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):g} MiB"


def ring() -> str:
    """A ring of the size that a capture has by default."""
    size, each, cpus = _default_ring(), Tls().mapsize, possible_cpus()
    trial.try_ring(size)
    return (
        f"{_mebibytes(size)} by default: --mapsize {each} KiB, {cpus} CPU{'s'[: cpus != 1]}, 32 MiB or more"
    )


def memlock() -> str:
    """Whether the limit of locked memory has room for the ring, where the kernel charges it at all."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    text = "no limit" if limit == resource.RLIM_INFINITY else _mebibytes(limit)
    # It came with accounting by cgroup, in 5.11; libbpf takes it for a sign of that too.
    if trial.has_helper(trial.KTIME_GET_COARSE_NS, trial.SOCKET_FILTER):
        return f"{text}; this kernel does not charge BPF to it"
    if limit != resource.RLIM_INFINITY and limit < _default_ring():
        raise PellucidError(f"{text}, and this kernel charges the ring to it")
    return text


def uprobe_multi() -> str:
    """Links that hold many uprobes."""
    if not has_uprobe_multi():
        raise PellucidError("the kernel does not have them, or takes a pid for one thread")
    return "one link for each file and program"


def uprobe() -> str:
    """Either way to make uprobes."""
    return "by uprobe_multi links" if has_uprobe_multi() else f"by {machine.perf_uprobe()}"


def tcx() -> str:
    """Links that see the packets of an interface."""
    trial.try_tcx()
    return "one link for each interface and direction"


def libpcap() -> str:
    """What compiles filter words."""
    compile_filter(["tcp"], ETHERNET)
    return "it compiles filters"


def raw_tracepoints() -> str:
    """The tracepoints that tell when processes end and become other programs."""
    names = [name for _, name in TRACEPOINTS]
    for name in names:
        trial.try_tracepoint(name)
    return ", ".join(names)


def socket_tracepoints() -> str:
    """The tracepoints that hand over a thread's socket."""
    names = [name for _, name in SOCKET_TRACEPOINTS]
    for name in names:
        trial.try_tracepoint(name)
    return ", ".join(names)
