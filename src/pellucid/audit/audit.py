"""The step: passes over queries that nobody asked for, and counts the others by shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pellucid.audit.shapes import Shapes
from pellucid.model import Query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pellucid.model import Message, QueryShape


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Wanted:
    """Which queries are shown: those that every field allows. What is not known of a query is allowed by none."""

    users: Collection[str] = ()
    """Empty: all, as for the next two."""
    databases: Collection[str] = ()
    kinds: Collection[str] = ()
    slower_than: float | None = None
    """Milliseconds from the command to the end of the answer, or to when nobody waited for that any more."""

    def __call__(self, query: Query, time: int) -> bool:
        """Judge one query, which is over, or given up, at `time` (ns since 1970, UTC)."""
        return (
            (not self.users or query.user in self.users)
            and (not self.databases or query.database in self.databases)
            and (not self.kinds or query.kind in self.kinds)
            and (self.slower_than is None or _took(query, time) >= self.slower_than)
        )


def _took(query: Query, time: int) -> float:
    """Milliseconds that it took, or without an answer has run by `time`."""
    if query.duration_ms is not None:
        return query.duration_ms
    began = (datetime.fromisoformat(query.ts) - _EPOCH) // _MICROSECOND
    return (time // 1000 - began) / 1000


class Audit:
    """Ask `wants` of each message in order, then for the `table` of those that were wanted."""

    def __init__(self, wanted: Wanted, *, fingerprint: bool = False) -> None:
        self._wanted = wanted
        self._shapes = Shapes() if fingerprint else None

    def wants(self, message: Message, time: int) -> bool:
        """Whether a message is shown that has come about at `time` (ns since 1970, UTC).

        Only queries are judged; one that is shown is counted.
        """
        if not isinstance(message, Query):
            return True
        if not self._wanted(message, time):
            return False
        if self._shapes:
            self._shapes.add(message)
        return True

    def table(self, ts: str) -> Iterable[QueryShape]:
        """The groups of the queries, those first that took longest in all; none without `fingerprint`."""
        return self._shapes.table(ts) if self._shapes else ()
