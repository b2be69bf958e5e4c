"""Dialogues of a watched program with its peer, as protocol tests write them.

    hello = Dialogue() >> b"what the program writes" << b"what it reads"
    assert hello.messages() == [...]

`messages()` runs the dialogue three ways: as it is written, byte by byte, and in random pieces, and requires
the same messages each time; raw data that is adjacent is joined first, for it is shown chunk by chunk.
Each step happens one millisecond after the one before, all its pieces at once.
"""

from __future__ import annotations

import copy
from itertools import cycle
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.model import (
    Chunk,
    Close,
    Connection,
    ConnectionEvent,
    Direction,
    Flow,
    Gap,
    Message,
    Open,
    RawData,
    Summary,
    Totals,
)
from pellucid.parse import Limits, Parse
from pellucid.parse.http1.parser import Http1
from pellucid.parse.text import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

READ, WRITE = Direction.READ, Direction.WRITE
LOCAL, REMOTE = "10.0.0.1:50000", "10.0.0.2:443"
WHO = {
    "pid": 41, "tid": 42, "uid": 1000, "comm": "curl", "executable": None, "container": None,
    "library": "libssl.so.3", "conn": 7, "src": LOCAL, "dst": REMOTE, "role": "client",
}  # fmt: skip
"""What every message of a client's dialogue says of its connection."""

START = 1_700_000_000_000_000_000
STEP = 1_000_000
WHOLE = (1 << 30,)
RANDOM = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def connection(id=7, *, mid=False):
    made = Connection(id, pid=41, tid=42, uid=1000, comm="curl", library="libssl.so.3", mid=mid)
    made.local, made.remote = LOCAL, REMOTE
    return made


def parse():
    """Return a stage with the parser under test and the default limits."""
    return Parse([Http1], Limits())


def run(stage: Parse, flows) -> list[Message]:
    return [message for flow in flows for message in stage.parse(flow)]


def charged(stage: Parse) -> int:
    """Return the bytes that were charged since somebody last had to look (`budget.Budget`)."""
    return stage._budget.limit - stage._budget.left


def raw_bytes(message: RawData) -> bytes:
    return message.data.encode() if isinstance(message.data, str) else message.data


def follows(message: RawData, last: RawData) -> bool:
    """Whether it is of the same direction, with nothing between: HTTP/2 may have the header of a frame there."""
    if last.direction != message.direction:
        return False
    assert last.offset + last.size <= message.offset
    return last.offset + last.size == message.offset


def joined(messages: Sequence[Message]) -> list[Message]:
    """Join raw data that continues the message before it."""
    out: list[Message] = []
    for message in messages:
        last = out[-1] if out else None
        if isinstance(message, RawData) and isinstance(last, RawData) and follows(message, last):
            last.data, last.encoding = readable(raw_bytes(last) + raw_bytes(message))
            last.size += message.size
        else:
            out.append(message)
    return out


class Dialogue:
    """A connection from its beginning; `mid` when the capture began later than it did."""

    def __init__(self, *, mid: bool = False, limits: Limits | None = None, parsers=(Http1,)) -> None:
        self.connection = connection(mid=mid)
        self._limits = limits or Limits()
        self._parsers = parsers
        self._steps: list[tuple[Direction, bytes | int]] = []
        self._closed = False

    def __rshift__(self, data: bytes) -> Dialogue:
        """The program writes."""
        self._steps.append((WRITE, data))
        return self

    def __lshift__(self, data: bytes) -> Dialogue:
        """The program reads."""
        self._steps.append((READ, data))
        return self

    def gap(self, direction: Direction, size: int) -> Dialogue:
        """Bytes are missing here."""
        self._steps.append((direction, size))
        return self

    def close(self) -> Dialogue:
        """The connection closes; else the capture ends before it does."""
        self._closed = True
        return self

    def flows(self, sizes: Sequence[int] = WHOLE) -> Iterator[Flow]:
        """Yield what the parse stage gets when bytes come in pieces of these sizes, repeated."""
        made = copy.copy(self.connection)  # a parser writes its role there
        offsets = {READ: 0, WRITE: 0}
        size = cycle(sizes)
        time = START
        yield Open(made, time)
        for direction, step in self._steps:
            time += STEP
            if isinstance(step, int):
                yield Gap(made, direction, offsets[direction], time, step, "ring_full")
                offsets[direction] += step
                continue
            at = 0
            while at < len(step):
                piece = step[at : at + next(size)]
                yield Chunk(made, direction, offsets[direction], time, piece)
                offsets[direction] += len(piece)
                at += len(piece)
        time += STEP
        if self._closed:
            yield Close(made, time)
        yield Totals(time, 1.0, 1, sum(offsets.values()), {})

    def whole(self, sizes: Sequence[int] = WHOLE) -> list[Message]:
        """Return every message, `connection` and `summary` included, of one run."""
        return run(Parse(self._parsers, self._limits), self.flows(sizes))

    def once(self, sizes: Sequence[int] = WHOLE) -> list[Message]:
        """Return the messages of one run that say something of the bytes."""
        return joined([m for m in self.whole(sizes) if not isinstance(m, ConnectionEvent | Summary)])

    def messages(self) -> list[Message]:
        """Return the same, having required that they are the same in any pieces."""
        expected = self.once()
        assert expected == self.once((1,))

        @settings(max_examples=8, derandomize=True, database=None, deadline=None)
        @given(RANDOM)
        def in_any_pieces(sizes: list[int]) -> None:
            assert expected == self.once(sizes)

        in_any_pieces()
        return expected
