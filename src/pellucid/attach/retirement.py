"""When a watched file needs its probes no more: nobody maps it, and nobody is likely to again.

Probes have a price while nobody calls them: places in the kernel's maps, descriptors, and the file itself, whose
disk space and mount the kernel keeps as long as they are there. Machines that start containers all day would run
out of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pellucid.attach.images import Key

UNUSED_S = 600.0
"""Seconds for which a file that is still there stays watched: a job that runs every few minutes is seen from its
first call."""

MOST_AT_ONCE = 32
"""Files: detaching them takes 0.15 s, for which new ones have to wait."""


class Retirement:
    """Who is watched, and since when without being used."""

    def __init__(self) -> None:
        self._unused_since: dict[Key, float | None] = {}

    def __len__(self) -> int:
        return len(self._unused_since)

    def add(self, key: Key) -> None:
        """It is watched from now on."""
        self._unused_since[key] = None

    def remove(self, key: Key) -> None:
        """It is watched no more, for another reason; nothing happens where it was not."""
        self._unused_since.pop(key, None)

    def due(self, in_use: AbstractSet[Key], now: float, at_once: Callable[[Key], bool]) -> list[Key]:
        """Those to be left now, at most MOST_AT_ONCE, the longest unused first; they are forgotten here.

        `in_use` are the files that anybody maps, `now` is in seconds. `at_once` says of a file that it need not be
        waited for; but two looks in a row must find it unused, for one look takes its time, and a process that
        hands a file on to its child and ends meanwhile can escape it.
        """
        due = []
        for key, since in self._unused_since.items():
            if key in in_use:
                self._unused_since[key] = None
            elif since is None:
                self._unused_since[key] = now
            elif now - since >= UNUSED_S or at_once(key):
                due.append((since, key))
        leaving = [key for _, key in sorted(due)[:MOST_AT_ONCE]]
        for key in leaving:
            del self._unused_since[key]
        return leaving
