"""A body that is read while it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.bodies.body import Body
from pellucid.parse.protocol import Ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Message
    from pellucid.parse.bodies.carried import Live
    from pellucid.parse.limits import Limits


class LiveBody(Body):
    """A body that is collected as any other, and read while it arrives."""

    __slots__ = ("_charged", "_live", "_messages", "time")

    def __init__(self, limits: Limits, live: Live, time: int) -> None:
        super().__init__(limits)
        self._live = live
        self._messages: list[Message] = []
        self._charged = 0
        self.time = time
        """Of the bytes that are added next, in nanoseconds since 1970."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        super().add(piece)
        self._messages += self._live.feed(piece, self.time)

    def lose(self, size: int) -> None:
        """Count bytes that are missing here."""
        super().lose(size)
        if size:
            self._messages += self._live.lose(size, self.time)

    def end(self, ending: str | None) -> list[Message]:
        """Nothing more comes, as `Live.end` says it; return the last messages."""
        self._messages += self._live.end(self.time, ending)
        return self.take()

    @property
    def sound(self) -> bool:
        """Nothing of it was lost, and all was read."""
        return super().sound and self.problem is None

    @property
    def problem(self) -> str | None:
        """Why it is read no further."""
        return self._live.problem

    def take(self) -> list[Message]:
        """Return what the bytes so far have completed."""
        messages, self._messages = self._messages, []
        return messages

    def grown(self) -> int:
        """Bytes of memory that reading takes more than when this was asked before: to be charged."""
        before, self._charged = self._charged, self._live.cost
        return max(self._charged - before, 0)

    @property
    def live_cost(self) -> int:
        """Bytes of memory that reading takes, above what is kept."""
        return self._live.cost - self._live.kept

    @property
    def kept(self) -> int:
        """Bytes of memory that shortening can give back."""
        return super().kept + self._live.kept

    def shorten(self, most: int) -> None:
        """Keep no more than `most` bytes, one half of them of the body, the other of the message that arrives."""
        super().shorten(most // 2)
        self._live.shorten(most // 2)


def body_problems(body: Body | None, name: str, cut: str | None) -> Sequence[str]:
    """Say in words what is missing of the body of a half called `name`; `cut` is what happened before its end."""
    if not cut and (body is None or body.sound):
        return ()
    problems = []
    if body and body.lost:
        problems.append(f"{body.lost} bytes of the {name} body were lost")
    if cut:
        problems.append(f"the {name} body was incomplete when {cut}")
    if isinstance(body, LiveBody) and body.problem:
        problems.append(f"the {name} body was read no further: {body.problem}")
    if body and body.shortened:
        problems.append(f"the {name} body is cut: {Ending.MEMORY}")
    return problems
