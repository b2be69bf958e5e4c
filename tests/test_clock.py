"""The two clocks, and when their relation is worth telling."""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path

import pytest

from pellucid.clock import STEP_NS, Clocks, ClockSteps, boot_ns
from pellucid.model import Clock


class Both:
    """The machine's clocks, as a test wants them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot, self.wall, self.cost = 1_000_000_000, 1_700_000_000_000_000_000, 0
        monkeypatch.setattr(time, "clock_gettime_ns", self._boot)
        monkeypatch.setattr(time, "time_ns", lambda: self.wall)

    def _boot(self, clock: int) -> int:
        assert clock == time.CLOCK_BOOTTIME
        self.boot += self.cost
        return self.boot

    def pass_time(self, nanoseconds: int) -> None:
        """Both go on."""
        self.boot += nanoseconds
        self.wall += nanoseconds


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    """Clocks that stand still unless they are told to go on."""
    return Both(monkeypatch)


def test_the_boot_clock_is_the_kernels() -> None:
    """It agrees with /proc/uptime, which counts suspends too, to the hundredth of a second that this shows."""
    before = float(Path("/proc/uptime").read_text().split()[0])
    now = boot_ns() / 1e9
    after = float(Path("/proc/uptime").read_text().split()[0])
    assert before - 0.02 <= now <= after + 0.02


def test_the_first_reading_is_told(both: Both) -> None:
    """The first call tells both clocks."""
    assert Clocks().changed() == Clock(boot=both.boot, wall=both.wall)


def test_time_that_passes_is_no_news(both: Both) -> None:
    """While both go on together, or differ by less than a step in all, nothing is told."""
    clocks = Clocks()
    clocks.changed()
    both.pass_time(3600 * 10**9)
    assert clocks.changed() is None
    both.wall += STEP_NS - 1
    assert clocks.changed() is None


@pytest.mark.parametrize("step", [STEP_NS, -STEP_NS, 3600 * 10**9], ids=["forward", "back", "an hour"])
def test_a_step_is_told_once(step: int, both: Both) -> None:
    """A wall clock that was set is told, and then it is known."""
    clocks = Clocks()
    clocks.changed()
    both.wall += step
    assert clocks.changed() == Clock(boot=both.boot, wall=both.wall)
    assert clocks.changed() is None


def test_slow_drift_adds_up(both: Both) -> None:
    """Small differences are compared with what was told last, so that they cannot grow unseen."""
    clocks = Clocks()
    clocks.changed()
    told = 0
    for _ in range(10):
        both.wall += STEP_NS // 4
        told += clocks.changed() is not None
    assert told == 2


def test_the_middle_of_a_slow_reading(both: Both) -> None:
    """When reading takes time, the wall clock belongs to the middle of it."""
    both.cost = 1000
    start = both.boot
    assert Clocks().changed() == Clock(boot=start + 1500, wall=both.wall)


def test_a_clock_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is readable while nobody sets the clock; the kernel's word for it, ECANCELED, is heard once each time."""
    steps = ClockSteps()
    try:
        assert select.select([steps], [], [], 0)[0] == []
        assert not steps.stepped()
        flags = Path(f"/proc/self/fdinfo/{steps.fileno()}").read_text()
        assert "settime flags: 03" in flags  # TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        monkeypatch.setattr(os, "read", lambda *_: (_ for _ in ()).throw(OSError(errno.ECANCELED, "")))
        assert steps.stepped()
    finally:
        steps.close()
