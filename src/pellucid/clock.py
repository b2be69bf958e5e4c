"""The boot clock, which stamps records, and wall-clock time, which people read."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time

from pellucid.errors import PellucidError
from pellucid.model import Clock

STEP_NS = 1_000_000
"""A change of the wall clock that is worth telling: a step or a suspend, not the clock's discipline."""

_REALTIME = 0
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK | TFD_CLOEXEC
_ABSTIME_CANCEL_ON_SET = 1 | 2  # TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
_ITIMERSPEC = struct.Struct("@4l")
_NEVER = (1 << 62) // 10**9
"""Seconds since 1970, of a time that does not come, and that the kernel's 64 bits of nanoseconds hold."""

_libc = ctypes.CDLL(None, use_errno=True)


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


class ClockSteps:
    """A descriptor that is readable once the wall clock was set (timerfd_create(2)), until `close`."""

    def __init__(self) -> None:
        """PellucidError where the kernel has no such timers."""
        self._timer: int = _libc.timerfd_create(_REALTIME, _FLAGS)
        when = _ITIMERSPEC.pack(0, 0, _NEVER, 0)
        if self._timer < 0 or _libc.timerfd_settime(self._timer, _ABSTIME_CANCEL_ON_SET, when, None):
            raise PellucidError(f"steps of the clock cannot be noticed: {os.strerror(ctypes.get_errno())}")

    def fileno(self) -> int:
        """For poll(2)."""
        return self._timer

    def stepped(self) -> bool:
        """Whether it was set since the last call."""
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
        return True

    def close(self) -> None:
        """Notice no more."""
        os.close(self._timer)
