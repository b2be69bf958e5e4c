"""Packets that wait for the keys of their flow: a queue for each flow, and a limit for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import WAIT_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_NS = WAIT_NS + 2_000_000_000
"""Afterwards nothing is waited for here either: what the kernel had to say may have been lost."""

_COST = 96
"""What a packet takes beside its bytes: an object, and a place in a list (sys.getsizeof)."""


class _Queue:
    __slots__ = ("blocks", "since", "size")

    def __init__(self, since: int) -> None:
        self.blocks: list[bytes] = []
        self.since = since
        self.size = 0


class Hold:
    """At most `limit` bytes in all; times are in nanoseconds of any clock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queues: dict[int, _Queue] = {}
        """By flow, the longest waiting first."""
        self._size = 0

    def __len__(self) -> int:
        return len(self._queues)

    def add(self, flow: int, block: bytes, now: int) -> None:
        """Have a packet wait behind those of its flow."""
        queue = self._queues.get(flow)
        if queue is None:
            queue = self._queues[flow] = _Queue(now)
        queue.blocks.append(block)
        queue.size += len(block) + _COST
        self._size += len(block) + _COST

    def release(self, flow: int) -> list[bytes]:
        """The packets of a flow, which wait no longer; none where nothing is known of it."""
        queue = self._queues.pop(flow, None)
        if queue is None:
            return []
        self._size -= queue.size
        return queue.blocks

    def overdue(self, now: int) -> Iterator[tuple[int, bool]]:
        """The flows that are to wait no longer, and whether for time (or for memory); each is to be released before
        the next is asked for.
        """
        while self._queues:
            flow, queue = next(iter(self._queues.items()))
            late = now - queue.since >= PATIENCE_NS
            if not late and self._size <= self._limit:
                return
            yield flow, late

    def flows(self) -> list[int]:
        """All that wait."""
        return list(self._queues)
