"""The boot clock, which stamps records, and wall-clock time, which people read."""

from __future__ import annotations

import time

from pellucid.model import Clock

STEP_NS = 1_000_000
"""A change of the wall clock that is worth telling: a step or a suspend, not the clock's discipline."""


def boot_ns() -> int:
    """Nanoseconds since boot, suspends included: what `bpf_ktime_get_boot_ns` returns."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_less_boot() -> int:
    """What is to be added to boot time now, in nanoseconds, to have wall-clock time."""
    now = _read()
    return now.wall - now.boot


def _read() -> Clock:
    """One instant on both: the boot clock is read twice, and its middle taken."""
    before = boot_ns()
    wall = time.time_ns()
    return Clock(boot=(before + boot_ns()) // 2, wall=wall)


class Clocks:
    """Watches the relation between the two clocks."""

    def __init__(self) -> None:
        self._told: int | None = None

    def changed(self) -> Clock | None:
        """Both clocks, at the first call and whenever the wall clock has stepped since they were last told."""
        now = _read()
        if self._told is not None and abs(now.wall - now.boot - self._told) < STEP_NS:
            return None
        self._told = now.wall - now.boot
        return now
