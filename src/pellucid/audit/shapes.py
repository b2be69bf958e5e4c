"""Queries counted by their shape, in bounded memory."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

from pellucid.audit.shape import shape_of
from pellucid.model import QueryShape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Query

MOST_SHAPES = 500
"""Different shapes that are told apart, some 8 KiB each at most; further ones are counted together."""

STEPS = 8
"""Steps of a duration in which it doubles: a percentile of many is right to 4.4 %, half a step."""

FEW = 100
"""Durations of a shape that are kept as they are: of so many a percentile is one of them."""

_LEAST_MS = 1e-3

_RUNS = frozenset({"query", "execute", "copy"})
"""Kinds of commands that run their text; others prepare, reset or close a statement, and `init_db` names a database."""

Key = tuple[str, str | None]


class Group:
    """The queries of one shape."""

    def __init__(self) -> None:
        self.count = self.errors = self.rows = 0
        self.total_ms = 0.0
        self._few = array("d")
        """The first `FEW` durations."""
        self._steps: Counter[int] = Counter()
        """All of them, in steps."""
        self._least, self._most = math.inf, 0.0

    def add(self, query: Query) -> None:
        """Count one."""
        self.count += 1
        self.errors += query.failure is not None
        self.rows += query.rows or 0
        if query.duration_ms is not None:
            self.total_ms += query.duration_ms
            self._least, self._most = min(self._least, query.duration_ms), max(self._most, query.duration_ms)
            if len(self._few) < FEW:
                self._few.append(query.duration_ms)
            self._steps[round(STEPS * math.log2(max(query.duration_ms, _LEAST_MS)))] += 1

    def percentile(self, part: float) -> float | None:
        """Milliseconds that this part of those whose duration is known did not exceed; None where none is.

        The smallest such duration (nearest rank); of more than `FEW` the middle of its step.
        """
        left = math.ceil(part * self._steps.total())
        if left > 0 and self._steps.total() <= FEW:
            return sorted(self._few)[left - 1]
        for step in sorted(self._steps):
            left -= self._steps[step]
            if left <= 0:
                return min(max(float(f"{2 ** (step / STEPS):.3g}"), self._least), self._most)
        return None


class Shapes:
    """All groups. What is prepared is counted when it is executed."""

    def __init__(self) -> None:
        self._groups: dict[Key, Group] = {}

    def add(self, query: Query) -> None:
        """Count a query that runs a text."""
        if query.query is None or query.kind not in _RUNS:
            return
        key: Key = (query.server, shape_of(query.query, query.server))
        if key not in self._groups and len(self._groups) >= MOST_SHAPES:
            key = (query.server, None)
        self._groups.setdefault(key, Group()).add(query)

    def table(self, ts: str) -> Iterator[QueryShape]:
        """A message for each group, those first that took longest in all."""
        for (server, shape), group in sorted(self._groups.items(), key=lambda item: -item[1].total_ms):
            yield QueryShape(
                ts=ts,
                server=server,
                shape=shape,
                count=group.count,
                total_ms=round(group.total_ms, 3),
                p50_ms=group.percentile(0.5),
                p99_ms=group.percentile(0.99),
                rows=group.rows,
                errors=group.errors,
            )
