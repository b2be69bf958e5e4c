"""HTTP/1.0 and HTTP/1.1 (RFC 9112): both directions of a connection, paired to exchanges.

Each direction goes through

    SEEKING --a start line--> HEAD --its empty line--> BODY --its end--> HEAD
       ^                       |                        |
       +------- a gap ---------+-- that hides the end --+

and shows what it meets while it seeks as raw data. Which response answers which request is `pairing.py`'s to know.

Interim responses (1xx) take no request and are not shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pellucid.model import Chunk, Connection, Direction, Gap, Message
from pellucid.parse.budget import PARSER_COST
from pellucid.parse.http1.exchange import AnyPart, Exchange, Part
from pellucid.parse.http1.fields import HeadError
from pellucid.parse.http1.framing import Chunked, ChunkError, UntilClose
from pellucid.parse.http1.head import HEAD_END, RequestHead, ResponseHead, judge_request, judge_response
from pellucid.parse.http1.length import request_framing, response_framing
from pellucid.parse.http1.pairing import Pairing
from pellucid.parse.http1.side import Side, after_empty_lines
from pellucid.parse.protocol import Ending, Held, Protocol, ProtocolError, Upgrade, Verdict
from pellucid.parse.raw import raw_all
from pellucid.parse.template import Template, blank_http

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits

_HEAD_END_SIZE = 3
"""Bytes of the longest end of a head after its first LF."""


class Http1(Protocol):
    """The parser."""

    @classmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:  # noqa: ARG003  # the bytes tell enough
        """Say yes to a whole request line or status line of HTTP/1.0 or HTTP/1.1, and to nothing else."""
        request = judge_request(head)
        return judge_response(head) if request is Verdict.NO else request

    def __init__(
        self, connection: Connection, limits: Limits, budget: Budget, direction: Direction, head: bytes
    ) -> None:
        self._connection = connection
        self._template = Template(connection, blank_http)
        self._limits = limits
        self._budget = budget
        budget.charge(PARSER_COST)
        other = Direction.READ if direction is Direction.WRITE else Direction.WRITE
        requests, responses = (other, direction) if head.startswith(b"HTTP/") else (direction, other)
        connection.role = connection.role or ("client" if requests is Direction.WRITE else "server")
        self._requests = Side(requests, judge_request)
        self._responses = Side(responses, judge_response)
        self._pairing = Pairing(limits.max_pending)
        self._out: list[Message] = []

    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return the exchanges they complete."""
        side = self._requests if chunk.direction is self._requests.direction else self._responses
        at, size = 0, len(chunk.data)
        while at < size:
            if side.part:
                at = self._body(side, side.part, chunk, at)
            elif side.seeking:
                at = self._seek(side, chunk)
            else:
                at = self._head(side, chunk, at)
        if side.part:
            self._budget.charge(side.part.head.cost)
        out, self._out = self._out, []
        return out

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on counting where the hole leaves no doubt about the framing, else seek a new beginning."""
        side = self._side(gap.direction)
        known = side.part is not None and self._bridge(side, side.part, gap.size)
        if not known:
            self._lose_track(side)
        return self._take()

    def close(self, time: int, ending: Ending) -> Sequence[Message]:  # noqa: ARG002  # no timer runs here
        """Show everything that is pending; only a response may end with its connection."""
        for side in (self._requests, self._responses):
            part = side.part
            if part and not (isinstance(part.framing, UntilClose) and ending is Ending.CLOSED):
                part.cut = ending
            if part and part.live:
                self._out += part.live.end(part.cut)
        for exchange in self._pending():
            exchange.unanswered(ending)
            self._show(exchange)
        self._pairing.waiting.clear()
        return [*self._take(), *raw_all(self._held())]

    def holds(self) -> Held:
        """Add up what is pending."""
        bodies = 0
        other = PARSER_COST + self._requests.held.__sizeof__() + self._responses.held.__sizeof__()
        pending = self._pending()
        for exchange in pending:
            for part in exchange.parts:
                held = part.holds()
                bodies += held.bodies
                other += held.other
        return Held(bodies, other, idle=not (pending or self._requests.held or self._responses.held))

    def shorten(self, most: int) -> None:
        """Let the oldest exchanges keep what they have."""
        pending = self._pending()
        for exchange in pending:
            for part in exchange.parts:
                if part.framing:
                    part.framing.body.shorten(most)
                    most = max(most - part.framing.body.kept, 0)

    def _pending(self) -> list[Exchange]:
        """Exchanges that are not shown yet, in order."""
        pending = dict.fromkeys((self._responses.exchange, *self._pairing.waiting, self._requests.exchange))
        return [exchange for exchange in pending if exchange]

    def _side(self, direction: Direction) -> Side:
        return self._requests if direction is self._requests.direction else self._responses

    def _take(self) -> list[Message]:
        out, self._out = self._out, []
        return out

    def _show(self, exchange: Exchange) -> None:
        self._out.append(exchange.message(self._template))

    def _held(self) -> list[Chunk]:
        chunks = [
            chunk for side in (self._requests, self._responses) for chunk in side.release(self._connection)
        ]
        return sorted(chunks, key=lambda chunk: chunk.time)

    # --- where messages begin ----------------------------------------------------------------------

    def _seek(self, side: Side, chunk: Chunk) -> int:
        """Begin a head if the chunk, with what is held, begins with a start line; return what is taken."""
        begun = bool(side.held)
        head = (bytes(side.held) + chunk.data)[: self._limits.max_sniff]
        verdict = side.judge(head)
        if verdict is Verdict.YES:
            side.seeking = False
            return 0
        if verdict is Verdict.MORE and len(head) < self._limits.max_sniff:
            side.hold(chunk, 0)
            return len(chunk.data)
        self._out += raw_all(side.release(self._connection) if begun else [chunk])
        return 0 if begun else len(chunk.data)

    def _head(self, side: Side, chunk: Chunk, at: int) -> int:
        """Take bytes up to the empty line that ends a head; return the index after them."""
        held = len(side.held)
        if not held:
            if chunk.data[at] in b"\r\n":
                return after_empty_lines(chunk.data, at)
            end = HEAD_END.search(chunk.data, at)
            if end:
                after = end.end()
                self._begin(side, chunk.data[at:after], chunk, at, after)
                return after
        side.hold(chunk, at)
        end = HEAD_END.search(side.held, max(0, held - _HEAD_END_SIZE))
        if not end:
            if problem := side.is_no_head(held, self._limits):
                self._leave(problem, chunk, len(chunk.data))
            return len(chunk.data)
        after = at + end.end() - held
        head = bytes(side.held[: end.end()])
        del side.held[held:]
        self._begin(side, head, chunk, at, after)
        return after

    def _begin(self, side: Side, head: bytes, chunk: Chunk, at: int, after: int) -> None:
        """Begin the message with this head; `chunk.data[at:after]` is what came of it last."""
        began = side.began if side.held else chunk.time
        try:
            if side is self._requests:
                self._begin_request(RequestHead(head), began, chunk.time)
            else:
                self._begin_response(ResponseHead(head), began, chunk.time)
        except HeadError as error:
            self._leave(str(error), chunk, at)
        side.held.clear()
        part, exchange = side.part, side.exchange
        if part is None:
            return
        if part.framing:
            url = exchange.request.head.url if exchange and exchange.request else None
            part.read_live(self._connection, side.direction, url, self._limits)
            if not part.framing.done:
                return
        self._finish(side, part)
        if exchange and exchange.switched:
            upgrade = exchange.upgrade(self._requests.direction)
            self._leave("the connection switched protocols", chunk, after, upgrade)

    def _begin_request(self, head: RequestHead, began: int, now: int) -> None:
        part = Part(head, request_framing(head, self._limits), began, now)
        exchange = Exchange(part)
        late = self._pairing.asked(exchange, answering=self._responses.part is not None)
        if part.framing:
            self._requests.part = part
            self._requests.exchange = exchange
        else:
            part.complete = True
            self._budget.left -= head.cost
        if late:
            self._show(late)

    def _begin_response(self, head: ResponseHead, began: int, now: int) -> None:
        if head.status < 200 and head.status != 101:
            return
        for unanswered in self._pairing.unanswerable():
            self._show(unanswered)
        exchange = self._pairing.answered()
        exchange.response = Part(head, response_framing(head, exchange.method, self._limits), began, now)
        self._responses.part = exchange.response
        self._responses.exchange = exchange

    # --- where they end ----------------------------------------------------------------------------

    def _finish(self, side: Side, part: AnyPart) -> None:
        """Take note that a half is complete, or that no more of it will be seen."""
        part.complete = True
        if part.live:
            self._out += part.live.end(part.cut)
        exchange = side.exchange
        side.part = side.exchange = None
        if exchange and exchange.finished:
            self._show(exchange)
        else:  # it waits for its other half
            self._budget.left -= part.head.cost

    def _lose_track(self, side: Side) -> None:
        """Start over after a gap that may hide the beginnings and ends of messages."""
        self._out += raw_all(side.release(self._connection))
        side.seeking = True
        if side is self._requests:
            self._pairing.lose_requests()
            return
        for unanswered in self._pairing.lose_responses():
            self._show(unanswered)

    def _bridge(self, side: Side, part: AnyPart, size: int) -> bool:
        """Count missing bytes of a body; say whether its end is still known."""
        framing = part.framing
        assert framing is not None
        known = framing.gap(size)
        if part.live:
            self._out += part.live.take()
        if not known and not framing.done:
            part.cut = "bytes were lost"
        if framing.done or part.cut:
            self._finish(side, part)
        return known

    # --- bodies ------------------------------------------------------------------------------------

    def _body(self, side: Side, part: AnyPart, chunk: Chunk, at: int) -> int:
        """Pass bytes to the body that is arriving; return the index after them."""
        framing = part.framing
        assert framing is not None
        part.ended = chunk.time
        if part.live:
            part.live.time = chunk.time
        try:
            at = framing.feed(chunk.data, at)
        except ChunkError as error:
            assert isinstance(framing, Chunked)
            side.held += framing.held
            side.began = chunk.time
            side.offset = chunk.offset + error.at - len(side.held)
            self._leave(str(error), chunk, error.at)
        if part.live:
            self._out += part.live.take()
            self._budget.charge(part.live.grown())
        if framing.done:
            self._finish(side, part)
        return at

    # --- the end of HTTP ---------------------------------------------------------------------------

    def _leave(self, reason: str, chunk: Chunk, at: int, upgrade: Upgrade | None = None) -> NoReturn:
        """Give the connection up: bytes held and those from index `at` on are in no message."""
        self._side(chunk.direction).hold(chunk, at)
        rest = self._held()
        raise ProtocolError(reason, self.close(chunk.time, Ending.LEFT), rest, upgrade)
