"""Directories of the cgroup hierarchy of version 2 (cgroups(7))."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach import machine
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cgroup(path: Path | None) -> Iterator[int | None]:
    """A descriptor of a cgroup's directory, for as long as the kernel needs it to find the group."""
    if path is None:
        yield None
        return
    if not path.is_dir():
        raise PellucidError(f"there is no directory {path}")
    if not (path / "cgroup.controllers").exists():  # version 1 has no such file
        raise PellucidError(f"{path} is not a directory of cgroup v2: see `mount -t cgroup2`")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def root() -> Path | None:
    """Where the hierarchy is mounted; None where it is not."""
    return next(map(Path, machine.mounts("cgroup2")), None)


def cgroup_of(pid: int) -> Path | None:
    """The directory of a process's cgroup; None where it has none that is to be seen here."""
    top = root()
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    path = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    found = top / path.lstrip("/") if top and path else None
    return found if found and found.is_dir() else None
