"""HTTP/2 (RFC 9113): frames of both directions, put together to one exchange a stream.

Each direction is cut into frames (`frames.py`), its header blocks are decoded by its own table (`hpack.py`),
and every frame goes to the stream that it names (`exchanges.py`), so interleaving needs no care.

A direction whose beginning was not seen, or that has a hole, is searched for the beginning of a frame (`seek.py`),
and goes on with a table of which only what comes is known. Where it then breaks a rule it was no beginning, and the
search goes on; a direction that was seen from its beginning, and breaks one, is not HTTP/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pellucid.model import Chunk, Connection, Direction, Gap, Message
from pellucid.parse.budget import CHARACTER_COST, FIELD_COST, HEAD_COST, PARSER_COST
from pellucid.parse.http2.control import promised
from pellucid.parse.http2.exchanges import Exchanges
from pellucid.parse.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    Frame,
    FrameError,
    without_priority,
)
from pellucid.parse.http2.head import Head
from pellucid.parse.http2.hpack import Block, HpackError
from pellucid.parse.http2.seek import begins_frames, begins_settings
from pellucid.parse.http2.side import HeaderBlock, Side
from pellucid.parse.http2.streams import Half
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Upgrade, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits

_FRAMES = 2
"""A header block with the headers of its frames may take so many times the room: frames may be empty."""


class Http2(Protocol):
    """The parser."""

    @classmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:
        """Say yes where both ends have agreed on it (ALPN), to a preface, and to frames."""
        if connection.session.alpn == "h2" or head.startswith(PREFACE):
            return Verdict.YES
        if PREFACE.startswith(head):
            return Verdict.MORE
        settings = begins_settings(head)
        return begins_frames(head, 0) if settings is Verdict.NO else settings

    @classmethod
    def takes_over(
        cls, connection: Connection, limits: Limits, budget: Budget, upgrade: Upgrade
    ) -> Protocol | None:
        """Go on after an upgrade from HTTP/1.1: stream 1 answers the request that asked for it (RFC 7540 section 3.2)."""
        if upgrade.name != "h2c":
            return None
        parser = cls(connection, limits, budget, upgrade.client, PREFACE)
        parser._upgraded = True
        parser._exchanges.upgraded(upgrade)
        return parser

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        budget: Budget,
        direction: Direction,  # noqa: ARG002  # each direction tells itself where it begins
        head: bytes,  # noqa: ARG002
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._budget = budget
        budget.charge(2 * PARSER_COST)
        self._sides = {each: Side(each, limits) for each in (Direction.READ, Direction.WRITE)}
        self._upgraded = False
        """The beginning is not that of the connection."""
        self._exchanges = Exchanges(connection, limits, budget)

    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return the exchanges they complete."""
        side = self._sides[chunk.direction]
        side.end = chunk.offset + len(chunk.data)
        rest: Chunk | None = chunk
        while rest:
            if side.opening is not None:
                rest = self._open(side, rest)
            elif side.seeker:
                rest = self._seek(side, rest)
            else:
                rest = self._frames(side, rest)
        return self._exchanges.take()

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on where the hole is within one body, else search for the beginning of a frame."""
        side = self._sides[gap.direction]
        lost = side.reader.gap(gap.size)
        if lost is None:
            self._lose_track(side, gap.time, gap.offset + gap.size)
        else:
            self._exchanges.lose(gap.direction, lost, gap.time)
        side.end = gap.offset + gap.size
        return self._exchanges.take()

    def close(self, time: int, ending: Ending) -> Sequence[Message]:
        """Show everything that is pending."""
        self._exchanges.end(ending)
        self._exchanges.show_raw(self._held(time))
        return self._exchanges.take()

    def holds(self) -> Held:
        """Add up what is pending. It is never idle: another instance would not know the tables."""
        held = self._exchanges.holds()
        return Held(
            held.bodies, held.other + 2 * PARSER_COST + sum(side.cost for side in self._sides.values())
        )

    def shorten(self, most: int) -> None:
        """Let the oldest exchanges keep what they have."""
        self._exchanges.shorten(most)

    # --- bytes -------------------------------------------------------------------------------------

    def _open(self, side: Side, chunk: Chunk) -> Chunk | None:
        """Begin a direction; return the bytes after what is only at a beginning."""
        if not self._upgraded and (self._connection.mid or chunk.offset > len(side.opening or b"")):
            side.seek(chunk.offset, self._limits)
            return chunk
        opened = side.open(chunk.data)
        if opened is None:
            return None
        held = bytes(side.opening or b"")
        side.opening = None
        other = Direction.READ if side.direction is Direction.WRITE else Direction.WRITE
        self._exchanges.tell_client(side.direction if opened else other)
        begin = len(PREFACE) if opened else 0
        return chunk._replace(offset=chunk.offset - len(held) + begin, data=(held + chunk.data)[begin:])

    def _seek(self, side: Side, chunk: Chunk) -> Chunk | None:
        """Show bytes in which no frame begins; return those from the beginning of one on."""
        seeker = side.seeker
        assert seeker is not None
        seeker.held += chunk.data
        offset = seeker.offset
        passed, found = seeker.find()
        self._exchanges.show_raw([chunk._replace(offset=offset, data=passed)])
        if not found:
            return None
        side.seeker = None
        return chunk._replace(offset=seeker.offset, data=bytes(seeker.held))

    def _frames(self, side: Side, chunk: Chunk) -> Chunk | None:
        """Take frames; return what has to be searched for their beginnings again."""
        reader, data, at = side.reader, chunk.data, 0
        while at < len(data):
            fresh = not reader.held
            try:
                frame, after = reader.next(data, at)
                if frame:
                    if fresh:
                        side.began = chunk.time
                    self._frame(side, frame, chunk, at, after)
                    reader.held.clear()
                elif fresh:
                    side.began = chunk.time
            except (FrameError, HpackError) as error:
                return self._broken(side, chunk, at, str(error))
            at = after
        return None

    def _broken(self, side: Side, chunk: Chunk, at: int, reason: str) -> Chunk | None:
        """Search on where it was no beginning, else give the connection up; bytes from index `at` on are in no frame."""
        held = bytes(side.reader.held) + chunk.data[at:]
        offset = chunk.offset + len(chunk.data) - len(held)
        side.reader.held[:] = held if side.certain else b""
        if side.certain:
            self._leave(reason, chunk.time)
        self._lose_track(side, chunk.time, offset + 1)
        self._exchanges.show_raw([chunk._replace(offset=offset, data=held[:1])])
        return chunk._replace(offset=offset + 1, data=held[1:]) if held[1:] else None

    def _lose_track(self, side: Side, time: int, offset: int) -> None:
        """Start over at `offset`, after what may have hidden the beginnings and ends of halves."""
        self._exchanges.show_raw(side.release(self._connection, time))
        side.seek(offset, self._limits)
        self._exchanges.cut(side.direction, "bytes were lost")

    def _held(self, time: int) -> list[Chunk]:
        return [chunk for side in self._sides.values() for chunk in side.release(self._connection, time)]

    def _leave(self, reason: str, time: int) -> NoReturn:
        rest = self._held(time)
        raise ProtocolError(reason, self.close(time, Ending.LEFT), rest)

    # --- frames ------------------------------------------------------------------------------------

    def _frame(self, side: Side, frame: Frame, chunk: Chunk, at: int, after: int) -> None:
        """Act on a frame; `chunk.data[at:after]` is what came of it last."""
        kind = frame.kind
        if kind == DATA:
            if not self._exchanges.data(side.direction, frame, chunk.time):
                offset = chunk.offset + after - frame.padding - len(frame.payload)
                self._exchanges.show_raw([chunk._replace(offset=offset, data=frame.payload)])
        elif kind == HEADERS:
            self._block(side, frame, without_priority(frame), chunk, at, after)
        elif kind == PUSH_PROMISE:
            self._block(side, frame, frame.payload[4:], chunk, at, after)
        elif kind == CONTINUATION:
            self._continue(side, frame, chunk, at, after)
        elif kind == RST_STREAM:
            self._exchanges.reset_stream(side.direction, frame)
        elif kind == GOAWAY:
            self._exchanges.go_away(side.direction, frame)

    def _block(self, side: Side, frame: Frame, fragment: bytes, chunk: Chunk, at: int, after: int) -> None:
        """Take a header block, or the beginning of one."""
        if frame.flags & END_HEADERS:
            self._decode(side, frame, fragment, side.began, chunk.time)
        else:
            sent = bytes(side.reader.held) + chunk.data[at:after]
            side.reader.in_block = True
            side.block = HeaderBlock(frame, fragment, sent, chunk.offset + after - len(sent), side.began)

    def _continue(self, side: Side, frame: Frame, chunk: Chunk, at: int, after: int) -> None:
        block = side.block
        if block is None or block.first.stream != frame.stream:
            if side.certain:
                raise FrameError("a CONTINUATION frame of no header block")
            side.table.forget()
            side.block = None
            side.reader.in_block = False
            return
        most = self._limits.max_head
        if len(block.held) + len(frame.payload) > most or len(block.bytes) > _FRAMES * most:
            raise FrameError("a header block is too long")
        if not frame.flags & END_HEADERS:
            block.held += frame.payload
            block.bytes += side.reader.held + chunk.data[at:after]
            return
        self._decode(side, block.first, bytes(block.held) + frame.payload, block.began, chunk.time)
        side.block = None
        side.reader.in_block = False

    def _decode(self, side: Side, frame: Frame, block: bytes, began: int, now: int) -> None:
        """Decode a header block, whatever becomes of it: the next ones build upon it."""
        head = self._head(side, side.table.decode(block))
        self._budget.charge(HEAD_COST + FIELD_COST * len(head.fields) + CHARACTER_COST * 2 * len(block))
        half = Half(head, began, now)
        if frame.kind == PUSH_PROMISE:
            self._exchanges.promise(promised(frame), half)
        else:
            self._exchanges.headers(side.direction, frame, half)

    def _head(self, side: Side, block: Block) -> Head:
        if side.head and side.head[0] is block:
            return side.head[1]
        head = Head(block, self._limits.max_head)
        side.head = (block, head)
        return head
