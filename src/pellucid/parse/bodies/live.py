"""Which bodies are read while they arrive, and by whom: HTTP of every version asks here."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pellucid.parse.bodies.body import Body
from pellucid.parse.bodies.carried import Carried, Live
from pellucid.parse.bodies.events import EventStream
from pellucid.parse.grpc.messages import GrpcBody, GrpcWebBody, GrpcWebTextBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.model import Message
    from pellucid.parse.limits import Limits

    Reader = Callable[[Carried, Limits], Live]

__all__ = ["Carried", "Live", "LiveBody", "live_body", "reader_of"]

_READERS: dict[str, Reader] = {
    "application/grpc": GrpcBody,
    "application/grpc-web": GrpcWebBody,
    "application/grpc-web-text": GrpcWebTextBody,
    "text/event-stream": EventStream,
}
"""By the media type without parameters or suffix (`application/grpc` for `application/grpc+proto`)."""


def live_body(carried: Carried, limits: Limits) -> Live | None:
    """Choose by the Content-Type field; None for a body that is only shown whole."""
    media = (value for name, value in carried.headers if len(name) == 12 and name.lower() == "content-type")
    reader = reader_of(next(media, ""))
    return reader(carried, limits) if reader else None


@lru_cache(maxsize=256)
def reader_of(content_type: str) -> Reader | None:
    """What reads a body of this type; nearly every exchange asks, and gets None."""
    media = content_type.partition(";")[0].partition("+")[0]
    return _READERS.get(media.strip().lower())


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
