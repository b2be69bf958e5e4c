"""What is given back when memory is short: first bodies, then connections.

1. **Bodies.** Each connection may keep an equal share; those that hold more are cut down to it, to the first
   bytes of their bodies. Their exchanges are shown as ever: sizes and SHA-256 are of all the bytes.
2. **Connections**: first those in no message, where it does not show, then those that hold most. What is pending
   is shown as far as it came, bytes in no message as raw data; the next message that begins is understood again.

Nothing is dropped unsaid: `truncated` or `error` tell of the first, `error` or raw data of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.protocol import Ending

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pellucid.model import Message
    from pellucid.parse.budget import Budget
    from pellucid.parse.protocol import Held
    from pellucid.parse.stream import Stream

    Holding = tuple[Stream, Held]

TRIGGER = 7 / 8
"""Of the limit: where more than this is really held, room is made ..."""

TARGET = 3 / 4
"""... down to this. The difference is what may come before somebody has to look again: looking at every
connection must be rare."""


def make_room(streams: Collection[Stream], budget: Budget, time: int) -> list[Message]:
    """Look at what is held, give back what is too much, settle the budget; return what that has shown.

    `time` is in nanoseconds since 1970, UTC.
    """
    holdings = [(stream, stream.holds()) for stream in streams]
    bodies = sum(held.bodies for _, held in holdings)
    other = sum(held.other for _, held in holdings)
    messages: list[Message] = []
    if bodies + other > TRIGGER * budget.limit:
        target = int(TARGET * budget.limit)
        _shorten(holdings, max(target - other, 0))
        messages = _give_up(holdings, other - target, time)
    # What an open connection takes at least cannot be given back: where that alone is too much, looking again
    # at every chunk would not help.
    held = sum(stream.size for stream in streams)
    budget.settle(min(held, int(TRIGGER * budget.limit)))
    return messages


def _shorten(holdings: list[Holding], most: int) -> None:
    share = equal_share((held.bodies for _, held in holdings), most)
    for stream, held in holdings:
        if held.bodies > share:
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


def _give_up(holdings: list[Holding], wanted: int, time: int) -> list[Message]:
    """Give back at least `wanted` bytes, as far as connections can."""
    messages: list[Message] = []
    holdings.sort(key=lambda each: (not each[1].idle, -each[1].other, each[0].connection.id))
    for stream, held in holdings:
        if wanted <= 0:
            break
        messages += stream.give_up(time, Ending.MEMORY)
        wanted -= held.other - stream.size
    return messages
