"""Whether the processes that are meant are in the network namespace that packets are taken from (network_namespaces(7))."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pellucid.errors import PellucidError
from pellucid.log import log


def check_network(pid: int | None, cgroup: Path | None, own: str = "/proc/self/ns/net") -> None:
    """PellucidError where none of them is in ours: their packets have another machine's worth of interfaces.

    Where only some are, the log says of whom nothing is captured.
    """
    pids = [pid] if pid is not None else _members(cgroup) if cgroup is not None else []
    here, elsewhere, ours = Path(own).stat().st_ino, 0, False
    for each in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if Path(f"/proc/{each}/ns/net").stat().st_ino == here:
                ours = True
            else:
                elsewhere = elsewhere or each
    if not elsewhere:
        return
    remedy = f"`nsenter -t {elsewhere} -n pellucid ...` captures there"
    if not ours:
        raise PellucidError(f"process {elsewhere} is in another network namespace: {remedy}")
    log.warning(
        "packets of process %d, which is in another network namespace, are missing: %s", elsewhere, remedy
    )


def _members(cgroup: Path) -> list[int]:
    """The processes of a cgroup and those below it, as far as they can be asked for."""
    found = []
    for file in cgroup.rglob("cgroup.procs"):
        with suppress(OSError):  # it is gone, or threaded: its parent lists its processes
            found += [int(line) for line in file.read_text().split()]
    return found
