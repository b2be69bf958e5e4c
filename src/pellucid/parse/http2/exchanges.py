"""The streams of one HTTP/2 connection that have begun and not ended: frames in, messages out.

An exchange is shown when both its halves have ended, when its stream is reset, or when its server refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Connection, Direction, Message
from pellucid.parse.bodies.body import Body
from pellucid.parse.bodies.carried import Carried
from pellucid.parse.bodies.live import LiveBody
from pellucid.parse.grpc.messages import GrpcWebBody
from pellucid.parse.http2.control import goes_away, reset_reason
from pellucid.parse.http2.frames import END_STREAM, Frame, FrameError, Lost
from pellucid.parse.http2.streams import Exchange, Half
from pellucid.parse.protocol import Held, Upgrade
from pellucid.parse.raw import raw_all
from pellucid.parse.readers import reader_of
from pellucid.parse.template import Template, blank_http
from pellucid.parse.websocket.parser import NAME as WEBSOCKET
from pellucid.parse.websocket.side import websocket_sides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.model import Chunk
    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits
    from pellucid.parse.readers import Reader


class Exchanges:
    """By their streams."""

    __slots__ = ("_budget", "_client", "_connection", "_limits", "_open", "_out", "_reset", "_template")

    def __init__(self, connection: Connection, limits: Limits, budget: Budget) -> None:
        self._connection = connection
        self._template = Template(connection, blank_http)
        self._limits = limits
        self._budget = budget
        self._client: Direction | None = None
        """In which direction requests go; None where nothing has told yet."""
        if connection.role:
            self._client = Direction.WRITE if connection.role == "client" else Direction.READ
        self._open: dict[int, Exchange] = {}
        self._reset: dict[int, None] = {}
        """The last streams that were reset: what the other end had sent before it knew is nobody's."""
        self._out: list[Message] = []

    def take(self) -> Sequence[Message]:
        """Return what was completed since this was called last."""
        out, self._out = self._out, []
        return out

    def show_raw(self, chunks: Iterable[Chunk]) -> None:
        """Show bytes that are in no exchange."""
        self._out += raw_all(chunks)

    # --- frames ------------------------------------------------------------------------------------

    def headers(self, direction: Direction, frame: Frame, half: Half) -> None:
        """Begin a half of an exchange, or end it by trailers; interim responses are not shown."""
        if self._client is None:
            self._tell_by_fields(direction, half)
        asks = direction is self._client
        exchange = self._open.get(frame.stream)
        before = exchange.half(asks=asks) if exchange else None
        if exchange and before:
            self._trailers(exchange, before, half, frame)
            return
        if half.head.interim or frame.stream in self._reset:
            return
        exchange = exchange or self._begin(Exchange(frame.stream))
        if asks:
            exchange.request = half
        else:
            exchange.response = half
        if frame.flags & END_STREAM:
            self._finish(exchange, half)
        else:
            self._read_live(direction, exchange, half)

    def _trailers(self, exchange: Exchange, half: Half, trailers: Half, frame: Frame) -> None:
        if half.complete:
            return
        half.trailers = trailers.head.fields
        half.ended = trailers.ended
        if frame.flags & END_STREAM:
            self._finish(exchange, half)

    def promise(self, stream: int, request: Half) -> None:
        """Begin an exchange that the server promises (RFC 9113 section 8.4)."""
        if stream not in self._open:
            request.complete = True
            self._begin(Exchange(stream, pushed=True)).request = request

    def data(self, direction: Direction, frame: Frame, time: int) -> bool:
        """Take a piece of a body; say whether it is known whose."""
        exchange = self._open.get(frame.stream)
        half = exchange.half(asks=direction is self._client) if exchange else None
        if exchange is None or half is None or half.complete:
            return frame.stream in self._reset
        half.ended = time
        if frame.payload:
            self._body(half).add(frame.payload)
        self._after_data(exchange, half, ends=frame.last and bool(frame.flags & END_STREAM))
        return True

    def lose(self, direction: Direction, lost: Lost, time: int) -> None:
        """Count bytes that are missing in a body."""
        exchange = self._open.get(lost.stream)
        half = exchange.half(asks=direction is self._client) if exchange else None
        if exchange is None or half is None or half.complete:
            return
        half.ended = time
        self._body(half).lose(lost.size)
        self._after_data(exchange, half, ends=lost.last and bool(lost.flags & END_STREAM))

    def reset_stream(self, direction: Direction, frame: Frame) -> None:
        """Show an exchange as far as it came."""
        exchange = self._open.get(frame.stream)
        if exchange is None:
            return
        self._reset[frame.stream] = None
        if len(self._reset) > self._limits.max_streams:
            del self._reset[next(iter(self._reset))]
        self._end(exchange, reset_reason(self._who(direction), frame))

    def go_away(self, direction: Direction, frame: Frame) -> None:
        """Show what the other end has begun and this one refuses (RFC 9113 section 6.8)."""
        last, reason = goes_away(self._who(direction), frame)
        theirs = 0 if direction is self._client else 1
        for exchange in list(self._open.values()):
            if exchange.stream > last and exchange.stream % 2 == theirs:
                self._end(exchange, reason)

    # --- beginnings and ends -----------------------------------------------------------------------

    def upgraded(self, upgrade: Upgrade) -> None:
        """Begin with the request that asked for HTTP/2 (RFC 7540 section 3.2)."""
        self.tell_client(upgrade.client)
        self._begin(Exchange(1, given=upgrade.request))

    def cut(self, direction: Direction, reason: str) -> None:
        """Take nothing more of the halves that are arriving in this direction."""
        for exchange in list(self._open.values()):
            half = exchange.half(asks=direction is self._client)
            if half and not half.complete:
                self._finish(exchange, half, reason)

    def end(self, reason: str) -> None:
        """Show everything that is pending."""
        for exchange in list(self._open.values()):
            self._end(exchange, reason)

    def _begin(self, exchange: Exchange) -> Exchange:
        if len(self._open) >= self._limits.max_streams:
            oldest = next(iter(self._open.values()))
            self._end(oldest, f"{self._limits.max_streams} further streams")
        self._open[exchange.stream] = exchange
        return exchange

    def _finish(self, exchange: Exchange, half: Half, cut: str | None = None) -> None:
        """Nothing more of a half comes, or is known."""
        self._out += half.end(cut)
        if exchange.finished:
            self._show(exchange)

    def _end(self, exchange: Exchange, reason: str) -> None:
        """Show an exchange as far as it came."""
        self._out += exchange.end(reason)
        self._show(exchange)

    def _show(self, exchange: Exchange) -> None:
        del self._open[exchange.stream]
        if exchange.request or exchange.response:
            self._read_late(exchange)
            self._out.append(exchange.message(self._template))

    # --- bodies ------------------------------------------------------------------------------------

    def _body(self, half: Half) -> Body:
        body = half.body
        if body is None:
            body = half.body = Body(self._limits)
        elif isinstance(body, LiveBody):
            body.time = half.ended
        return body

    def _after_data(self, exchange: Exchange, half: Half, *, ends: bool) -> None:
        if isinstance(half.body, LiveBody):
            self._out += half.body.take()
            self._budget.charge(half.body.grown())
        if ends:
            self._finish(exchange, half)

    def _read_live(self, direction: Direction, exchange: Exchange, half: Half) -> None:
        """Have a body read while it arrives, where what it is asks for that."""
        if half is exchange.response and exchange.switches_to == WEBSOCKET:
            self._read_websocket(exchange, half)
            return
        media = half.head.media
        reader: Reader | None = None
        if media:
            reader = reader_of(media)
        elif half.untyped and exchange.grpc:
            reader = GrpcWebBody  # of the kinds that there are, the one that allows most
        if reader:
            carried = Carried(self._connection, direction, exchange.stream, exchange.url, half.head.fields)
            half.body = LiveBody(self._limits, reader(carried, self._limits), half.ended)

    def _read_late(self, exchange: Exchange) -> None:
        """Read the bodies of a call of which nothing before its trailers has told that it is gRPC's."""
        for half in exchange.halves:
            if half.untyped and exchange.grpc:
                asks = half is exchange.request
                direction = next(each for each in Direction if (each is self._client) is asks)
                fields = half.head.fields
                carried = Carried(self._connection, direction, exchange.stream, exchange.url, fields)
                live = GrpcWebBody(carried, self._limits)
                self._out += live.feed(half.unread(), half.began)
                self._out += live.end(half.ended, half.cut)

    def _read_websocket(self, exchange: Exchange, response: Half) -> None:
        """Have both bodies of an extended CONNECT read as what it is for (RFC 8441)."""
        request, client = exchange.request, self._client
        assert request is not None
        assert client is not None
        sides = websocket_sides(self._connection, exchange.upgrade(client), self._limits, exchange.stream)
        if sides is None or request.body is not None:
            return
        for half, side in ((request, sides.pop(client)), (response, sides.popitem()[1])):
            half.body = LiveBody(self._limits, side, half.ended)

    # --- memory ------------------------------------------------------------------------------------

    def holds(self) -> Held:
        """Bytes of memory that they take."""
        held = [half.holds() for exchange in self._open.values() for half in exchange.halves]
        return Held(sum(each.bodies for each in held), sum(each.other for each in held))

    def shorten(self, most: int) -> None:
        """Let the oldest keep what they have."""
        for exchange in self._open.values():
            for half in exchange.halves:
                if half.body:
                    half.body.shorten(most)
                    most = max(most - half.body.kept, 0)

    # --- who is who --------------------------------------------------------------------------------

    def tell_client(self, direction: Direction) -> None:
        """The program that sends in this direction is the client."""
        self._client = direction
        role = "client" if direction is Direction.WRITE else "server"
        self._connection.role = self._connection.role or role

    def _tell_by_fields(self, direction: Direction, half: Half) -> None:
        """Who sends `:method` is the client. Raises `FrameError` where it is not known what is sent."""
        if not (half.head.method or half.head.status):
            raise FrameError("nothing tells whether this is a request or a response")
        other = Direction.READ if direction is Direction.WRITE else Direction.WRITE
        self.tell_client(direction if half.head.method else other)

    def _who(self, direction: Direction) -> str:
        return "client" if direction is self._client else "server"
