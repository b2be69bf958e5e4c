"""Bodies that are read while they arrive: each piece in them is shown at once, not when the exchange ends.

    HTTP head complete --live.live_body(Carried)--> a Live, or None for a body that is only shown whole
    body bytes --feed()--> messages                 after the framing is removed, codings not undone
    a hole     --lose()--> messages
    the end    --end()---> messages

The body itself is kept and shown in its exchange as ever. Those that there are, are named in `live.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Connection, Direction, Headers, Message


class Carried(NamedTuple):
    """Which body it is: one half of one exchange."""

    connection: Connection
    direction: Direction
    stream: int | None
    """The HTTP/2 stream."""
    url: str | None
    """The request target; None where the request was not seen."""
    headers: Headers
    """Of this half."""


class Live(ABC):
    """Reads one body. Its buffers are bounded by `Limits`; it raises nothing, whatever it is fed."""

    @abstractmethod
    def feed(self, data: bytes, time: int) -> Sequence[Message]:
        """Take the next bytes; return what they complete. `time` is in nanoseconds since 1970, UTC."""

    @abstractmethod
    def lose(self, size: int, time: int) -> Sequence[Message]:
        """Learn that `size` bytes are missing here; return what that ends."""

    @abstractmethod
    def end(self, time: int, ending: str | None) -> Sequence[Message]:
        """Return what is pending; `ending` says what came before the body was complete (an `Ending`, or other words
        that follow "before"), and is None where it is complete.
        """

    @property
    def problem(self) -> str | None:
        """Why it reads no further, if so: the exchange tells it."""
        return None

    @property
    @abstractmethod
    def cost(self) -> int:
        """Bytes of memory that it takes."""

    @property
    def kept(self) -> int:
        """Of these, bytes that `shorten` can give back."""
        return 0

    def shorten(self, most: int) -> None:  # noqa: B027 - most of them keep nothing
        """Keep no more than `most` bytes of what has not been shown. Its message must still tell its size, and that it
        is cut.
        """
