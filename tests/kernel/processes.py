"""The two processes of a capture as the kernel sees them: /proc, and BPF objects by id."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from pathlib import Path

from tests.kernel.inside import SYS_BPF, libc
from tests.kernel.running import wait_for

GET_FD_BY_ID = {"prog": 13, "link": 30}
"""Commands of bpf(2): enum bpf_cmd in linux/bpf.h."""


def decoder_of(tracer: int) -> int:
    """The pid of a capture's decoder: the tracer's only child, once it is somebody else."""

    def child() -> int | None:
        pids = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
        return int(pids[0]) if pids and status(int(pids[0]))["Uid"].split()[0] != "0" else None

    return int(wait_for(child, f"the decoder of process {tracer}"))


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status by field."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def state(pid: int) -> str:
    """One letter of proc(5): `R` runs, `S` sleeps, `T` is stopped; empty for one that has ended."""
    try:
        letter = status(pid)["State"][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if letter in "ZX" else letter


def descriptors(pid: int) -> dict[int, str]:
    """What each descriptor of a process is, as the kernel names it."""
    return {int(entry.name): str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def _read(entry: Path) -> str:
    """The text of a file in /proc; nothing where it has gone since it was listed."""
    try:
        return entry.read_text()
    except FileNotFoundError:
        return ""


def fdinfos(pid: int) -> list[str]:
    """What the kernel says of each descriptor of a process (proc(5), fdinfo)."""
    return [_read(entry) for entry in Path(f"/proc/{pid}/fdinfo").iterdir()]


def bpf_ids(pid: int) -> dict[str, set[int]]:
    """The ids of the BPF links and programs that a process has descriptors of (proc(5), fdinfo)."""
    text = "".join(fdinfos(pid))
    return {
        "link": {int(number) for number in re.findall(r"^link_id:\s*(\d+)", text, re.MULTILINE)},
        "prog": {int(number) for number in re.findall(r"^prog_id:\s*(\d+)", text, re.MULTILINE)},
    }


def remaining(ids: dict[str, set[int]]) -> dict[str, set[int]]:
    """Which of them the kernel still has."""
    return {kind: {number for number in numbers if _exists(kind, number)} for kind, numbers in ids.items()}


def _exists(kind: str, number: int) -> bool:
    """Ask for it by its id (bpf(2), BPF_LINK_GET_FD_BY_ID), as `bpftool link show id` does."""
    attributes = number.to_bytes(4, sys.byteorder) + bytes(12)
    fd = libc.syscall(SYS_BPF, GET_FD_BY_ID[kind], attributes, len(attributes))
    if fd >= 0:
        os.close(fd)
        return True
    assert ctypes.get_errno() == errno.ENOENT
    return False
