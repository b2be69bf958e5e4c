"""What is known of one direction of an HTTP/1 connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.model import Chunk, Connection, Direction
from pellucid.parse.protocol import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse.http1.exchange import AnyPart, Exchange
    from pellucid.parse.limits import Limits

_NO_LINE_END = re.compile(rb"[^\r\n]")


def after_empty_lines(data: bytes, at: int) -> int:
    """Return the index of what follows them: some clients send one after a body (RFC 9112 section 2.2)."""
    text = _NO_LINE_END.search(data, at)
    return text.start() if text else len(data)


class Side:
    """One direction of the connection."""

    __slots__ = ("began", "direction", "exchange", "held", "judge", "offset", "part", "seeking")

    def __init__(self, direction: Direction, judge: Callable[[bytes], Verdict]) -> None:
        self.direction = direction
        self.judge = judge
        self.seeking = True
        """No message boundary is known: wait for a chunk that begins with a start line."""
        self.held = bytearray()
        """The beginning of a head."""
        self.offset = 0
        """Where the held bytes are in the stream."""
        self.began = 0
        """When the first of them came."""
        self.exchange: Exchange | None = None
        self.part: AnyPart | None = None
        """What is arriving: a message whose head is complete and whose body is not."""

    def hold(self, chunk: Chunk, at: int) -> None:
        """Keep the bytes from index `at` on until there are more."""
        if not self.held:
            self.offset = chunk.offset + at
            self.began = chunk.time
        self.held += chunk.data[at:] if at else chunk.data

    def release(self, connection: Connection) -> list[Chunk]:
        """Give the held bytes back."""
        if not self.held:
            return []
        chunk = Chunk(connection, self.direction, self.offset, self.began, bytes(self.held))
        self.held.clear()
        return [chunk]

    def is_no_head(self, before: int, limits: Limits) -> str | None:
        """Say why what is held cannot become a head, of which the first bytes, so many, were looked at before."""
        if len(self.held) > limits.max_head:
            return "a head is too long"
        if self.held.find(b"\n", 0, before) >= 0:
            return None  # the start line was whole before, and judged
        verdict = self.judge(bytes(self.held[: limits.max_sniff]))
        too_long = verdict is Verdict.MORE and len(self.held) >= limits.max_sniff
        return "no start line" if too_long or verdict is Verdict.NO else None
