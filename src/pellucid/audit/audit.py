"""The step: passes over queries that nobody asked for, and counts the others by shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.audit.shapes import Shapes
from pellucid.model import Query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pellucid.model import Message, QueryShape


@dataclass(frozen=True)
class Wanted:
    """Which queries are shown: those that every field allows. What is not known of a query is allowed by none."""

    users: Collection[str] = ()
    """Empty: all, as for the next two."""
    databases: Collection[str] = ()
    kinds: Collection[str] = ()
    slower_than: float | None = None
    """Milliseconds from the command to the end of the answer."""

    def __call__(self, query: Query) -> bool:
        """Judge one query."""
        return (
            (not self.users or query.user in self.users)
            and (not self.databases or query.database in self.databases)
            and (not self.kinds or query.kind in self.kinds)
            and (
                self.slower_than is None
                or (query.duration_ms is not None and query.duration_ms >= self.slower_than)
            )
        )


class Audit:
    """Ask `wants` of each message in order, then for the `table` of those that were wanted."""

    def __init__(self, wanted: Wanted, *, fingerprint: bool = False) -> None:
        self._wanted = wanted
        self._shapes = Shapes() if fingerprint else None

    def wants(self, message: Message) -> bool:
        """Whether a message is shown. Only queries are judged; one that is shown is counted."""
        if not isinstance(message, Query):
            return True
        if not self._wanted(message):
            return False
        if self._shapes:
            self._shapes.add(message)
        return True

    def table(self, ts: str) -> Iterable[QueryShape]:
        """The groups of the queries, those first that took longest in all; none without `fingerprint`."""
        return self._shapes.table(ts) if self._shapes else ()
