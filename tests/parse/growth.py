"""Growth: what four times as many bytes cost, against once as many."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

QUADRATIC = 16
LINEAR = 4
_ENOUGH = 0.02
"""Seconds of CPU time below which the clock and the caches count for more than the work."""


_TRIES = 3
"""A machine that does something else makes a try slow, never fast."""


def cpu(work: Callable[[int], object], size: int) -> float:
    """Seconds of CPU time of this thread."""
    began = time.thread_time()
    work(size)
    return time.thread_time() - began


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether `work` of four times the size takes well below the sixteen times of a quadratic one."""
    small = large = float("inf")
    for _ in range(_TRIES):
        small, large = min(small, cpu(work, size)), min(large, cpu(work, 4 * size))
        if large < _ENOUGH or large < (LINEAR + QUADRATIC) / 2 * small:
            return True
    return False
