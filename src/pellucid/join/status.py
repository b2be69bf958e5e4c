"""Only the commands that ended with one exit status: a step between join and parse, where `--errnumber` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.model import Flow


class ByStatus:
    """Call it with flow in order; it yields what is left of it.

    A command that has no status has none that could be meant; one whose status was lost may have had this one.
    """

    def __init__(self, status: int) -> None:
        self._status = status

    def __call__(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """What follows from each."""
        return (
            flow
            for flow in flows
            if not isinstance(flow, Command) or flow.status == self._status or flow.how == "unknown"
        )
