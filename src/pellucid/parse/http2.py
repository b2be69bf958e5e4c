"""HTTP/2 (RFC 9113): frames of both directions, put together to one exchange a stream.

Each direction is cut into frames (`http2_frames.py`), its header blocks are decoded by its own table (`hpack.py`),
and every frame goes to the stream that it names (`http2_streams.py`), so interleaving needs no care. An exchange is
shown when both its halves have ended, when its stream is reset, or when its server refuses it.

A direction whose beginning was not seen, or that has a hole, is searched for the beginning of a frame (`http2_seek.py`),
and goes on with a table of which only what comes is known. Where it then breaks a rule it was no beginning, and the
search goes on; a direction that was seen from its beginning, and breaks one, is not HTTP/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pellucid.model import Chunk, Connection, Direction, Gap, Message
from pellucid.parse.body import Body
from pellucid.parse.budget import PARSER_COST
from pellucid.parse.hpack import HpackError
from pellucid.parse.http2_control import goes_away, promised, reset_reason
from pellucid.parse.http2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    PREFACE,
    Frame,
    FrameError,
    Kind,
    without_priority,
)
from pellucid.parse.http2_head import Head
from pellucid.parse.http2_seek import begins_frames, begins_settings
from pellucid.parse.http2_side import HeaderBlock, Side
from pellucid.parse.http2_streams import Exchange, Half
from pellucid.parse.live import Carried, LiveBody, reader_of
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Upgrade, Verdict
from pellucid.parse.raw import raw_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits


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
        parser._client = upgrade.client
        parser._streams[1] = Exchange(1, given=upgrade.request)
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
        self._client: Direction | None = None
        """In which direction requests go; None where nothing has told yet."""
        if connection.role:
            self._client = Direction.WRITE if connection.role == "client" else Direction.READ
        self._streams: dict[int, Exchange] = {}
        """Those that have begun and not ended."""
        self._reset: dict[int, None] = {}
        """The last of those that were reset: what the other end had sent before it knew is nobody's."""
        self._out: list[Message] = []

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
        out, self._out = self._out, []
        return out

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on where the hole is within one body, else search for the beginning of a frame."""
        side = self._sides[gap.direction]
        side.end = gap.offset + gap.size
        lost = side.reader.gap(gap.size)
        if lost is None:
            self._lose_track(side, gap.time, gap.offset + gap.size)
        elif lost.kind == DATA:
            half = self._half(side, lost.stream)
            if half and not half.complete:
                half.ended = gap.time
                self._body(half).lose(lost.size)
                if lost.last and lost.flags & END_STREAM:
                    self._finish(self._streams[lost.stream], half)
                else:
                    self._show_live(half)
        out, self._out = self._out, []
        return out

    def close(self, time: int, ending: Ending) -> Sequence[Message]:
        """Show everything that is pending."""
        for exchange in list(self._streams.values()):
            self._end(exchange, ending)
        self._out += raw_all(self._held(time))
        out, self._out = self._out, []
        return out

    def holds(self) -> Held:
        """Add up what is pending. It is never idle: another instance would not know the tables."""
        bodies, other = 0, 2 * PARSER_COST + sum(side.cost for side in self._sides.values())
        for exchange in self._streams.values():
            for half in exchange.halves:
                held = half.holds()
                bodies += held.bodies
                other += held.other
        return Held(bodies, other)

    def shorten(self, most: int) -> None:
        """Let the oldest exchanges keep what they have."""
        for exchange in self._streams.values():
            for half in exchange.halves:
                if half.body:
                    half.body.shorten(most)
                    most = max(most - half.body.kept, 0)

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
        self._tell_client(side.direction if opened else other)
        begin = len(PREFACE) if opened else 0
        return chunk._replace(offset=chunk.offset - len(held) + begin, data=(held + chunk.data)[begin:])

    def _seek(self, side: Side, chunk: Chunk) -> Chunk | None:
        """Show bytes in which no frame begins; return those from the beginning of one on."""
        seeker = side.seeker
        assert seeker is not None
        seeker.held += chunk.data
        offset = seeker.offset
        passed, found = seeker.find()
        self._out += raw_all([chunk._replace(offset=offset, data=passed)])
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
        self._out += raw_all([chunk._replace(offset=offset, data=held[:1])])
        return chunk._replace(offset=offset + 1, data=held[1:]) if held[1:] else None

    def _lose_track(self, side: Side, time: int, offset: int) -> None:
        """Start over at `offset`, after what may have hidden the beginnings and ends of halves."""
        self._out += raw_all(side.release(self._connection, time))
        side.seek(offset, self._limits)
        for exchange in list(self._streams.values()):
            half = exchange.request if side.direction is self._client else exchange.response
            if half and not half.complete:
                self._finish(exchange, half, "bytes were lost")

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
            self._data(side, frame, chunk, after)
        elif kind == Kind.HEADERS:
            self._block(side, frame, without_priority(frame), chunk, at, after)
        elif kind == Kind.PUSH_PROMISE:
            self._block(side, frame, frame.payload[4:], chunk, at, after)
        elif kind == Kind.CONTINUATION:
            self._continue(side, frame, chunk, at, after)
        elif kind == Kind.RST_STREAM:
            self._reset_stream(side, frame)
        elif kind == Kind.GOAWAY:
            self._go_away(side, frame)

    def _data(self, side: Side, frame: Frame, chunk: Chunk, after: int) -> None:
        half = self._half(side, frame.stream)
        if half is None or half.complete:
            if frame.stream not in self._reset:
                offset = chunk.offset + after - frame.padding - len(frame.payload)
                self._out += raw_all([chunk._replace(offset=offset, data=frame.payload)])
            return
        half.ended = chunk.time
        if frame.payload:
            body = self._body(half)
            if isinstance(body, LiveBody):
                body.time = chunk.time
            body.add(frame.payload)
        if frame.last and frame.flags & END_STREAM:
            self._finish(self._streams[frame.stream], half)
        else:
            self._show_live(half)

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
        if len(block.held) + len(frame.payload) > self._limits.max_head:
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
        head = Head(side.table.decode(block), self._limits.max_head)
        if frame.kind == Kind.PUSH_PROMISE:
            self._promise(promised(frame), Half(head, began, now))
        else:
            self._headers(side, frame, Half(head, began, now))

    def _reset_stream(self, side: Side, frame: Frame) -> None:
        exchange = self._streams.get(frame.stream)
        if exchange is None:
            return
        self._reset[frame.stream] = None
        if len(self._reset) > self._limits.max_streams:
            del self._reset[next(iter(self._reset))]
        who = "client" if side.direction is self._client else "server"
        self._end(exchange, reset_reason(who, frame))

    def _go_away(self, side: Side, frame: Frame) -> None:
        """Show what the other end has begun and this one refuses (section 6.8)."""
        last, reason = goes_away("client" if side.direction is self._client else "server", frame)
        theirs = 0 if side.direction is self._client else 1
        for exchange in list(self._streams.values()):
            if exchange.stream > last and exchange.stream % 2 == theirs:
                self._end(exchange, reason)

    # --- streams -----------------------------------------------------------------------------------

    def _half(self, side: Side, stream: int) -> Half | None:
        exchange = self._streams.get(stream)
        if exchange is None:
            return None
        return exchange.request if side.direction is self._client else exchange.response

    def _headers(self, side: Side, frame: Frame, half: Half) -> None:
        """Begin a half of an exchange, or end it by trailers; interim responses are not shown."""
        self._tell_by_fields(side, half)
        if frame.stream in self._reset:
            return
        before = self._half(side, frame.stream)
        if before is not None:
            if not before.complete:
                before.ended = half.ended
                before.trailers = half.head.fields
                if frame.flags & END_STREAM:
                    self._finish(self._streams[frame.stream], before)
            return
        if half.head.interim:
            return
        exchange = self._streams.get(frame.stream) or self._begin(Exchange(frame.stream))
        if side.direction is self._client:
            exchange.request = half
        else:
            exchange.response = half
        self._budget.charge(half.head.cost)
        if frame.flags & END_STREAM:
            self._finish(exchange, half)
        else:
            self._read_live(side, exchange, half)

    def _promise(self, stream: int, request: Half) -> None:
        """Begin an exchange that the server promises (section 8.4)."""
        if stream not in self._streams:
            request.complete = True
            self._begin(Exchange(stream, pushed=True)).request = request
            self._budget.charge(request.head.cost)

    def _begin(self, exchange: Exchange) -> Exchange:
        if len(self._streams) >= self._limits.max_streams:
            oldest = next(iter(self._streams.values()))
            self._end(oldest, f"{self._limits.max_streams} further streams")
        self._streams[exchange.stream] = exchange
        return exchange

    def _finish(self, exchange: Exchange, half: Half, cut: str | None = None) -> None:
        """Nothing more of a half comes, or is known."""
        self._out += half.end(cut)
        if exchange.finished:
            del self._streams[exchange.stream]
            self._out.append(exchange.message(self._connection))

    def _end(self, exchange: Exchange, reason: str) -> None:
        """Show an exchange as far as it came."""
        del self._streams[exchange.stream]
        if exchange.halves:
            self._out += exchange.end(reason)
            self._out.append(exchange.message(self._connection))

    def _body(self, half: Half) -> Body:
        if half.body is None:
            half.body = Body(self._limits)
        return half.body

    def _read_live(self, side: Side, exchange: Exchange, half: Half) -> None:
        """Have a body read while it arrives, where its media type asks for it."""
        head = half.head
        reader = reader_of(head.media) if head.media else None
        if reader:
            carried = Carried(self._connection, side.direction, exchange.stream, exchange.url, head.fields)
            half.body = LiveBody(self._limits, reader(carried, self._limits), half.ended)

    def _show_live(self, half: Half) -> None:
        if isinstance(half.body, LiveBody):
            self._out += half.body.take()
            self._budget.charge(half.body.grown())

    # --- who is who --------------------------------------------------------------------------------

    def _tell_by_fields(self, side: Side, half: Half) -> None:
        """Whoever sends `:method` is the client."""
        if self._client is not None:
            return
        if not (half.head.method or half.head.status):
            raise FrameError("nothing tells whether this is a request or a response")
        other = Direction.READ if side.direction is Direction.WRITE else Direction.WRITE
        self._tell_client(side.direction if half.head.method else other)

    def _tell_client(self, direction: Direction) -> None:
        self._client = direction
        role = "client" if direction is Direction.WRITE else "server"
        self._connection.role = self._connection.role or role
