"""What a process takes of the machine; the tests of `--memory` count by it too."""

from __future__ import annotations

import os
import re
from pathlib import Path

MIB = 1 << 20


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far and resident MiB, of a process and its children."""
    each = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return sum(map(cpu_seconds, each)), sum(map(resident, each)) / MIB


def cpu_seconds(pid: int) -> float:
    """User and system time (proc(5), /proc/PID/stat)."""
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes: its proportional set size (proc(5), smaps) without the ring, the kernel's memory, mapped twice."""
    kib, ring = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ring = "bpf-map" in line
        elif line.startswith("Pss:") and not ring:
            kib += int(line.split()[1])
    return kib * 1024
