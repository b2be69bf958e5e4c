"""Network namespaces: whose packets are meant, and how to be there for a moment (network_namespaces(7))."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach import follow
from pellucid.errors import PellucidError
from pellucid.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_OWN = Path("/proc/thread-self/ns/net")
_GONE = (FileNotFoundError, ProcessLookupError)
"""A process has ended meanwhile."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Network:
    """A network namespace, held until `close`: the interfaces of one that nobody holds are gone with its last process."""

    number: int
    """The kernel's, which /proc/PID/ns/net has as its inode."""
    pid: int
    """A process that was there; 0 for ours."""
    description: str
    """For a person, of whom it is; nothing for ours."""
    fd: int | None
    """None for ours, which need not be entered."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread be there, and nowhere else afterwards. PellucidError where the kernel refuses."""
        if self.fd is None:
            yield
            return
        back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.fd, self.description)
            try:
                yield
            finally:
                _enter(back, "our own network namespace")
        finally:
            os.close(back)

    @property
    def remedy(self) -> str:
        """What shows a person its interfaces."""
        return f"`nsenter -t {self.pid} -n ip link`" if self.pid else "`ip link`"

    def close(self) -> None:
        """Hold it no longer."""
        if self.fd is not None:
            os.close(self.fd)


def _enter(fd: int, name: str) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise PellucidError(f"cannot enter {name}: {os.strerror(ctypes.get_errno())}")


def own_network() -> Network:
    """The one that this thread is in."""
    return Network(_OWN.stat().st_ino, 0, "", None)


def network_of(pid: int) -> Network | None:
    """That of a process; None where it has ended, PellucidError where it may not be asked for."""
    try:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except _GONE:
        return None
    except OSError as error:
        raise PellucidError(
            f"cannot ask for the network namespace of process {pid}: {error.strerror}"
        ) from error
    number = os.fstat(fd).st_ino
    if number != own_network().number:
        return Network(number, pid, f"network namespace {number} of process {pid}{_named(pid)}", fd)
    os.close(fd)
    return own_network()


def _named(pid: int) -> str:
    with suppress(*_GONE):
        comm = Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace")
        return f" ({escape(comm.removesuffix(chr(10)))})"
    return ""


def number_of(pid: int) -> int | None:
    """The number of a process's namespace; None where it has ended, or may not be asked for."""
    with suppress(*_GONE, PermissionError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    return None


def networks_of(pids: Iterable[int]) -> list[Network]:
    """Those of these processes, each once; ours where there is no process. PellucidError as of `network_of`."""
    found: dict[int, Network] = {}
    for pid in pids:
        if number_of(pid) in found:
            continue
        network = network_of(pid)
        if network is not None and found.setdefault(network.number, network) is not network:
            network.close()
    return list(found.values()) or [own_network()]


def inhabitant(number: int) -> int | None:
    """A process that is in the namespace of this number; None where there is none."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return next((pid for pid in pids if number_of(pid) == number), None)


def processes(pid: int | None, cgroup: Path | None, *, descendants: bool) -> list[int]:
    """Those that are there now: a process, and with `descendants` these too; else of a cgroup and those below it."""
    if pid is None:
        return sorted(_members(cgroup)) if cgroup is not None else []
    return [pid, *(sorted(follow.descendants(follow.parents(), {pid})) if descendants else ())]


def _members(cgroup: Path) -> Iterator[int]:
    for file in cgroup.rglob("cgroup.procs"):
        with suppress(OSError):  # it is gone, or threaded: its parent lists its processes
            yield from map(int, file.read_text().split())
