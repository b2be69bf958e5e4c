"""Nanoseconds of wall-clock time as the text that messages carry."""

from __future__ import annotations

import time
from functools import lru_cache

_SECOND = 1_000_000_000
_RECENT = 16
"""Seconds whose text is remembered: pending messages reach back a few, all others share the current one."""


@lru_cache(maxsize=_RECENT)
def _whole_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


def rfc3339(nanoseconds: int) -> str:
    """Format a UTC time since 1970 with exactly six decimals, cut and not rounded: never in the future."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{_whole_second(seconds)}{rest // 1000:06d}Z"


def milliseconds(nanoseconds: int) -> float:
    """Express a duration with microsecond resolution, as `duration_ms` is shown."""
    return round(nanoseconds / 1_000_000, 3)
