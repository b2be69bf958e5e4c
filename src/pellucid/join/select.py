"""Only the connections that `--port` and `--host` mean: a step between join and parse, where one of them is given.

    HELD ---its addresses become known and are wanted---> WANTED: released in order, then passed on
     | +----they become known, and are not--------------> UNWANTED: dropped, and not counted at all
     +------a limit is reached, or it ends--------------> GIVEN UP: dropped, and counted as `undecided`

The kernel decides where it knows the addresses; what it could not decide is decided here, and all of a replay. A
connection that was given up and turns out to be wanted is shown from there on, after a gap.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pellucid.model import (
    LOSS_REASONS,
    Chunk,
    Close,
    Command,
    Connection,
    Direction,
    Flow,
    Gap,
    Logged,
    Open,
    Totals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.ends import Ends

HELD_BYTES = 256 << 10
"""What is held of one connection: a TLS handshake and a first exchange move less."""
HELD_NS = 5_000_000_000
"""How much later than a connection's first record one of its records may be, and still be held."""
PIECE_BYTES = 256
"""What each piece counts for beside its bytes: tiny ones cost memory by their number."""

UNDECIDED = "undecided"


class _Candidate:
    """A connection, and what became of it."""

    __slots__ = ("connection", "dropped", "held", "opened", "size", "wanted")

    def __init__(self, connection: Connection, opened: int) -> None:
        self.connection = connection
        self.opened = opened
        self.wanted: bool | None = None
        self.held: list[Open | Chunk | Gap | Close] = []
        self.size = 0
        """Of what is held, by `_size`."""
        self.dropped: list[int] | None = None
        """Where each direction stood when its last piece was dropped; None unless given up."""


class Select:
    """Call it with flow in order; it yields what is left of it.

    All connections together hold at most `held_in_all` bytes: beyond that the one that has been held longest is
    given up.
    """

    def __init__(self, ends: Ends, held_in_all: int) -> None:
        self._ends = ends
        self._held_in_all = held_in_all
        self._candidates: dict[int, _Candidate] = {}
        self._waiting: dict[int, _Candidate] = {}
        """Those that are held, the oldest first."""
        self._held = 0
        self._unwanted_bytes = 0
        self._unwanted_gaps: Counter[str] = Counter()
        self._undecided_bytes = 0
        self._undecided: set[int] = set()

    def __call__(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """What follows from each."""
        for flow in flows:
            if isinstance(flow, Totals):
                yield from self._end(flow)
            elif isinstance(flow, Command | Logged):  # of no connection
                yield flow
            else:
                yield from self._take(flow)

    def _take(self, flow: Open | Chunk | Gap | Close) -> Iterator[Flow]:
        candidate = self._candidates.get(flow.connection.id) or self._begin(flow)
        if candidate.wanted is None:
            yield from self._decide(candidate, flow.time)
        if candidate.wanted:
            yield flow
        elif candidate.wanted is False:
            self._discount(flow)
        elif candidate.dropped is None:
            self._hold(candidate, flow)
        else:
            self._drop(candidate, candidate.dropped, flow)
        if isinstance(flow, Close):
            self._give_up(candidate)
            del self._candidates[flow.connection.id]

    def _begin(self, flow: Open | Chunk | Gap | Close) -> _Candidate:
        candidate = _Candidate(flow.connection, flow.time)
        self._candidates[flow.connection.id] = self._waiting[flow.connection.id] = candidate
        return candidate

    def _decide(self, candidate: _Candidate, time: int) -> Iterator[Flow]:
        """Look whether the addresses are known now; if so, release or forget what was held."""
        local, remote = candidate.connection.local, candidate.connection.remote
        if local is None or remote is None:
            return
        candidate.wanted = self._ends.want(local, remote)
        held = self._no_longer_held(candidate)
        if not candidate.wanted:
            for flow in held:
                self._discount(flow)
        elif candidate.dropped is None:
            yield from held
        else:
            yield from _late(candidate, candidate.dropped, time)

    def _hold(self, candidate: _Candidate, flow: Open | Chunk | Gap | Close) -> None:
        candidate.held.append(flow)
        candidate.size += _size(flow)
        self._held += _size(flow)
        if candidate.size > HELD_BYTES or flow.time - candidate.opened > HELD_NS:
            self._give_up(candidate)
        while self._held > self._held_in_all:
            self._give_up(next(iter(self._waiting.values())))

    def _no_longer_held(self, candidate: _Candidate) -> list[Open | Chunk | Gap | Close]:
        self._waiting.pop(candidate.connection.id, None)
        self._held -= candidate.size
        held, candidate.held, candidate.size = candidate.held, [], 0
        return held

    def _give_up(self, candidate: _Candidate) -> None:
        """Drop what is held of it; nothing where it is decided or given up already."""
        if candidate.wanted is None and candidate.dropped is None:
            candidate.dropped = [0, 0]
            for flow in self._no_longer_held(candidate):
                self._drop(candidate, candidate.dropped, flow)

    def _drop(self, candidate: _Candidate, dropped: list[int], flow: Flow) -> None:
        if isinstance(flow, Chunk):
            self._undecided_bytes += len(flow.data)
            self._undecided.add(candidate.connection.id)
            dropped[flow.direction] = flow.offset + len(flow.data)
        elif isinstance(flow, Gap):  # the totals have it under its own reason
            dropped[flow.direction] = flow.offset + flow.size

    def _discount(self, flow: Flow) -> None:
        if isinstance(flow, Chunk):
            self._unwanted_bytes += len(flow.data)
        elif isinstance(flow, Gap):
            self._unwanted_gaps[flow.reason] += flow.size

    def _end(self, totals: Totals) -> Iterator[Flow]:
        """What is still held is decided or given up; the totals are those of the connections that are left."""
        for candidate in [*self._waiting.values()]:
            yield from self._decide(candidate, totals.time)
            self._give_up(candidate)
        lost, taken = _less(totals.lost, self._unwanted_gaps)
        if self._undecided_bytes:
            lost[UNDECIDED] = self._undecided_bytes
        seen = totals.seen_bytes - self._unwanted_bytes - taken
        yield totals._replace(seen_bytes=seen, lost=lost, undecided=len(self._undecided))


def _size(flow: Flow) -> int:
    return PIECE_BYTES + (len(flow.data) if isinstance(flow, Chunk) else 0)


def _late(candidate: _Candidate, dropped: list[int], time: int) -> Iterator[Flow]:
    """The beginning of a connection that was given up: its bytes so far are a gap."""
    yield Open(candidate.connection, candidate.opened)
    for direction, size in zip(Direction, dropped, strict=True):
        if size:
            yield Gap(candidate.connection, direction, 0, time, size, UNDECIDED)


def _less(lost: dict[str, int], gaps: Counter[str]) -> tuple[dict[str, int], int]:
    """What was lost without these gaps, and how much that is less.

    A gap without a record of its own shows as `ring_full`, whatever the kernel has counted it as: what its own
    reason does not hold is taken from the others.
    """
    left, taken = dict(lost), 0
    for reason, size in gaps.items():
        rest = size
        for name in (reason, *LOSS_REASONS):
            part = min(rest, left.get(name, 0))
            left[name] = left.get(name, 0) - part
            rest -= part
        taken += size - rest
    return {name: size for name, size in left.items() if size}, taken
