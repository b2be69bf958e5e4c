"""What is given back when memory is short: first bodies, then connections.

1. **Bodies.** Each connection may keep an equal share; those that hold more are cut down to it, to the first
   bytes of their bodies. Their exchanges are shown as ever: sizes and SHA-256 are of all the bytes.
2. **Connections**, those that hold most first. What is pending is shown as far as it came, bytes that are in
   no message as raw data; the next message that begins is understood again.

Nothing is dropped unsaid: `truncated` or `error` tell of the first, `error` or raw data of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.protocol import Ending

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pellucid.model import Message
    from pellucid.parse.budget import Budget
    from pellucid.parse.stream import Stream

TRIGGER = 7 / 8
"""Of the limit: where more than this is really held, room is made ..."""

TARGET = 3 / 4
"""... down to this. The difference is what may come before somebody has to look again: looking at every
connection must be rare."""


def make_room(streams: Collection[Stream], budget: Budget, time: int) -> list[Message]:
    """Look at what is held, give back what is too much, settle the budget; return what that has shown.

    `time` is in nanoseconds since 1970, UTC.
    """
    bodies: dict[Stream, int] = {}
    others: dict[Stream, int] = {}
    for stream in streams:
        bodies[stream], others[stream] = stream.holds()
    messages: list[Message] = []
    if sum(bodies.values()) + sum(others.values()) > TRIGGER * budget.limit:
        target = int(TARGET * budget.limit)
        _shorten(bodies, max(target - sum(others.values()), 0))
        messages = _give_up(others, target, time)
    budget.settle(sum(sum(stream.holds()) for stream in streams))
    return messages


def _shorten(bodies: dict[Stream, int], most: int) -> None:
    share = equal_share(bodies.values(), most)
    for stream, size in bodies.items():
        if size > share:
            stream.shorten(share)


def equal_share(sizes: Iterable[int], most: int) -> int:
    """The largest share with which sizes, each cut down to it, are `most` in all."""
    ascending = sorted(sizes)
    for number, size in enumerate(ascending):
        share = most // (len(ascending) - number)
        if size > share:
            return share
        most -= size
    return max(ascending, default=0)


def _give_up(others: dict[Stream, int], most: int, time: int) -> list[Message]:
    messages: list[Message] = []
    total = sum(others.values())
    for stream in sorted(others, key=lambda each: (-others[each], each.connection.id)):
        if total <= most:
            break
        messages += stream.give_up(time, Ending.MEMORY)
        total += sum(stream.holds()) - others[stream]
    return messages
