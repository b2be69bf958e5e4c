"""What the parse stage knows of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Chunk, Connection, Direction
from pellucid.parse.budget import CHUNK_COST, CONNECTION_COST
from pellucid.parse.protocol import Ending, Held
from pellucid.parse.raw import connection_event, raw_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Message
    from pellucid.parse.failures import Failures
    from pellucid.parse.protocol import Protocol

_HELD_CHUNK = 8
"""What a held chunk counts for at least against `max_sniff`: tiny ones cost memory by their number, some
200 bytes each, so that 16 KiB of single bytes would be 3 MiB. A line of 2 KiB may still come in single bytes."""


class Undecided:
    """The first chunks of a connection, until somebody claims them."""

    __slots__ = ("chunks", "heads", "size")

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.heads = {Direction.READ: b"", Direction.WRITE: b""}
        self.size = 0

    def hold(self, chunk: Chunk) -> bytes:
        """Keep a chunk; return all that its direction has sent so far."""
        self.chunks.append(chunk)
        self.size += max(len(chunk.data), _HELD_CHUNK)
        self.heads[chunk.direction] += chunk.data
        return self.heads[chunk.direction]

    @property
    def cost(self) -> int:
        """Bytes of memory: each byte is here twice."""
        return 2 * self.size + CHUNK_COST * len(self.chunks)


class Stream:
    """A connection, and who understands it."""

    __slots__ = ("_failures", "connection", "decided", "held", "opened", "parser", "seeking")

    def __init__(self, connection: Connection, failures: Failures) -> None:
        self.connection = connection
        self._failures = failures
        self.parser: Protocol | None = None
        self.held: Undecided | None = None
        """Bytes that nobody has claimed yet; None where there are none."""
        self.decided = False
        """A parser was found, or all of them have refused."""
        self.seeking = connection.mid
        """The beginning was not seen, so a NO holds for these bytes only."""
        self.opened: int | None = None
        """When it was opened, until that is told (nanoseconds since 1970, UTC): the first bytes tell who is the client."""

    def introduce(self) -> list[Message]:
        """Say that it was opened, before anything else is said of it."""
        if self.opened is None:
            return []
        opened, self.opened = self.opened, None
        return [connection_event(self.connection, opened, "opened")]

    def hold(self, chunk: Chunk) -> bytes:
        """Keep a chunk that nobody claims yet; return all that its direction has sent so far."""
        if self.held is None:
            self.held = Undecided()
        return self.held.hold(chunk)

    @property
    def waiting(self) -> int:
        """Bytes that nobody has claimed yet, against `max_sniff`."""
        return self.held.size if self.held else 0

    def release(self) -> list[Chunk]:
        """Give up waiting for more, for these bytes."""
        chunks = self.held.chunks if self.held else []
        self.held = None
        self.decided = not self.seeking
        return chunks

    def end(self, time: int, ending: Ending) -> Sequence[Message]:
        """Return everything that is pending."""
        if self.parser is None:
            return raw_all(self.release())
        try:
            return self.parser.close(time, ending)
        except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
            self._failures.add(type(self.parser), error)
            return []

    def fail(self, error: Exception, time: int) -> Sequence[Message]:
        """Go on without a parser that has raised what it must not; return what it can still show."""
        assert self.parser is not None
        self._failures.add(type(self.parser), error)
        messages = self.end(time, Ending.FAILED)
        self.parser = None
        return messages

    # --- memory --------------------------------------------------------------------------------------

    def holds(self) -> Held:
        """Bytes of memory that the connection takes."""
        if self.parser:
            try:
                held = self.parser.holds()
                return held._replace(other=held.other + CONNECTION_COST)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                self._failures.add(type(self.parser), error)
                self.parser = None
        return Held(0, CONNECTION_COST + (self.held.cost if self.held else 0))

    @property
    def size(self) -> int:
        """The same as one number."""
        held = self.holds()
        return held.bodies + held.other

    def shorten(self, most: int) -> None:
        """Keep no more than `most` bytes of the bodies."""
        if self.parser:
            try:
                self.parser.shorten(most)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                self._failures.add(type(self.parser), error)
                self.parser = None

    def give_up(self, time: int, ending: Ending) -> Sequence[Message]:
        """Return everything that is pending, hold nothing, and seek a new beginning in what follows."""
        undecided = self.parser is not None or not self.decided
        messages = [*self.introduce(), *self.end(time, ending)]
        self.parser = None
        if undecided:
            self.seeking = True
            self.decided = False
        return messages
