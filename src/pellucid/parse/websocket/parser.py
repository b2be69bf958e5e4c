"""WebSocket (RFC 6455) on a connection of its own, with permessage-deflate (RFC 7692).

Usually HTTP/1 hands the connection over behind the 101 (`takes_over`), and both directions are read from
their first frame on. Where the capture began later, or bytes were lost between frames, a direction

    SEEKING --frames beyond doubt (`judge`)--> READING --a gap that hides where a frame begins--> SEEKING

shows what it meets while it seeks as raw data, and goes on with the chunk that begins those frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pellucid.model import Chunk, Connection, Direction, Gap, Message
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Upgrade, Verdict
from pellucid.parse.raw import raw_all
from pellucid.parse.stream import Undecided
from pellucid.parse.websocket.evidence import ENOUGH, is_masked, judge, judge_either, unproven
from pellucid.parse.websocket.side import SIDE_COST, Side, unknown_sides, websocket_sides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits

_COST = 2 * SIDE_COST

NAME = "websocket"
"""In the Upgrade field (RFC 6455 section 4.1), and in `:protocol` (RFC 8441 section 4)."""


class WebSocket(Protocol):
    """The parser."""

    @classmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:
        """Claim what has begun before the capture, beyond doubt: all others begin with a handshake of HTTP."""
        return judge_either(head) if connection.mid else Verdict.NO

    @classmethod
    def takes_over(
        cls, connection: Connection, limits: Limits, budget: Budget, upgrade: Upgrade
    ) -> Protocol | None:
        """Take what follows a handshake, unless it has agreed on an extension that is not known."""
        if upgrade.name != NAME:
            return None
        sides = websocket_sides(connection, upgrade, limits)
        return cls(connection, limits, budget, upgrade.client, b"", sides) if sides else None

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        budget: Budget,
        direction: Direction,
        head: bytes,
        sides: dict[Direction, Side] | None = None,
    ) -> None:
        """`sides` follow a handshake, in which `direction` was the client's."""
        budget.charge(_COST)
        self._limits = limits
        self._budget = budget
        begun = sides or unknown_sides(connection, limits)
        client_sent_head = sides is not None or is_masked(head)
        self._ends = {
            each: End(side, masked=(each is direction) is client_sent_head) for each, side in begun.items()
        }
        for each, end in self._ends.items():
            end.sure = sides is not None
            end.seeking = sides is None
            if end.masked:
                connection.role = connection.role or ("client" if each is Direction.WRITE else "server")

    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return the messages they complete."""
        end = self._ends[chunk.direction]
        return self._seek(end, chunk) if end.seeking else self._read(end, chunk)

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on within a payload, else seek the beginning of a frame."""
        end = self._ends[gap.direction]
        if end.seeking:
            return raw_all(end.release())
        messages = end.side.lose(gap.size, gap.time)
        if not end.side.broken:
            return messages
        rest = end.release()
        end.seek(end.side.broken)
        return [*messages, *raw_all(rest)]

    def close(self, time: int, ending: Ending) -> Sequence[Message]:
        """Show messages of which something is missing, and bytes that are in none."""
        messages = [message for end in self._ends.values() for message in end.side.end(time, ending)]
        return [*messages, *raw_all(self._rest())]

    def holds(self) -> Held:
        """Add up both directions. It is never idle: what frames mean was agreed on in the handshake."""
        bodies = sum(end.side.kept for end in self._ends.values())
        return Held(bodies, _COST + sum(end.held.cost for end in self._ends.values() if end.held))

    def shorten(self, most: int) -> None:
        """Cut payloads, and forget what compressed messages may refer to."""
        for end in self._ends.values():
            end.side.shorten(most)
            most = max(most - end.side.kept, 0)

    def _read(self, end: End, chunk: Chunk) -> Sequence[Message]:
        before = end.side.kept
        messages = end.side.feed(chunk.data, chunk.time)
        end.place = chunk._replace(offset=chunk.offset + len(chunk.data), data=b"")
        self._budget.charge(max(end.side.kept - before, 0))
        if not end.side.broken:
            return messages
        if end.sure:
            self._leave(end.side.broken, messages, chunk.time)
        cut = end.side.end(chunk.time, "what follows was no frame")
        rest = end.release()
        end.seek()
        return [*messages, *cut, *raw_all(rest)]

    def _seek(self, end: End, chunk: Chunk) -> Sequence[Message]:
        head = end.hold(chunk)
        self._budget.charge(len(chunk.data))  # held twice
        verdict = judge(head[: self._limits.max_sniff], ENOUGH, masked=end.masked)
        if verdict is Verdict.YES:
            return self._found(
                end, chunk._replace(offset=chunk.offset + len(chunk.data) - len(head), data=head)
            )
        if verdict is Verdict.MORE and len(head) < self._limits.max_sniff:
            return []
        *before, last = end.release()
        if before:  # the last chunk may begin what the earlier ones did not
            return [*raw_all(before), *self._seek(end, last)]
        return raw_all([last])

    def _found(self, end: End, head: Chunk) -> Sequence[Message]:
        """Go on with frames that were found, the first of which need not be one."""
        end.release()
        end.seeking = False
        size = unproven(head.data)
        rest = head._replace(offset=head.offset + size, data=head.data[size:])
        return [*raw_all([head._replace(data=head.data[:size])]), *self._read(end, rest)]

    def _rest(self) -> list[Chunk]:
        """Give up the bytes that are in no frame, in order."""
        chunks = [chunk for end in self._ends.values() for chunk in end.release()]
        return sorted(chunks, key=lambda chunk: chunk.time)

    def _leave(self, reason: str, messages: Iterable[Message], time: int) -> NoReturn:
        """Give the connection up."""
        rest = self._rest()
        raise ProtocolError(reason, [*messages, *self.close(time, Ending.LEFT)], rest)


class End:
    """One direction of the connection."""

    __slots__ = ("held", "masked", "place", "seeking", "side", "sure")

    def __init__(self, side: Side, *, masked: bool) -> None:
        self.side = side
        self.masked = masked
        """It is the client's."""
        self.sure = True
        """Frames are known since the handshake, not found: what is none ends the protocol."""
        self.seeking = False
        """Nobody knows where a frame begins."""
        self.held: Undecided | None = None
        """What may be the first frames, while it seeks."""
        self.place: Chunk | None = None
        """What comes after the bytes that the side was fed, itself without any."""

    def seek(self, why: str | None = None) -> None:
        """Begin anew; what came before is missing, for the reason given or as before."""
        self.side.resume(why)
        self.seeking = True
        self.sure = False

    def hold(self, chunk: Chunk) -> bytes:
        """Keep a chunk until there are more; return all that are kept."""
        self.held = self.held or Undecided()
        return self.held.hold(chunk)

    def release(self) -> list[Chunk]:
        """Give up what is in no frame: chunks that are held, or the last bytes that the side has got."""
        chunks = self.held.chunks if self.held else []
        self.held = None
        rest, self.side.rest = self.side.rest, b""
        if rest and self.place:
            chunks = [self.place._replace(offset=self.place.offset - len(rest), data=rest)]
        return chunks
