"""HTTP/1.0 and HTTP/1.1 (RFC 9112): both directions of a connection, paired to exchanges.

Each direction goes through

    SEEKING --a start line--> HEAD --its empty line--> BODY --its end--> HEAD
       ^                       |                        |
       +------- a gap ---------+-- that hides the end --+

and shows what it meets while it seeks as raw data. Responses answer requests in order (section 9.3.2),
so the pairing is a queue: a final response takes the oldest request that waits. Behind a gap that hides where messages
begin, halves are shown apart rather than paired wrong:

- A gap in the responses may hide those of all requests that wait. They are shown without one.
- A gap in the requests may hide some, whose responses come before those of later ones. Requests that waited before it
  get theirs; what follows those belongs to nobody.
- Pairing begins anew with a request that is sent when nothing is outstanding, as far as can be seen: a client that waits for
  each response has then got them all. Of one that does not (it pipelines, section 9.3.2), nobody can ever say so.

Interim responses (1xx) take no request and are not shown.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NoReturn

from pellucid.model import Chunk, Connection, Direction, Gap, Message
from pellucid.parse.bodies.body import Body
from pellucid.parse.bodies.live import Carried, reader_of
from pellucid.parse.budget import PARSER_COST
from pellucid.parse.http1.exchange import AnyPart, Exchange, Part, switches
from pellucid.parse.http1.fields import HeadError
from pellucid.parse.http1.framing import Chunked, ChunkError, Framing, Sized, UntilClose
from pellucid.parse.http1.head import (
    HEAD_END,
    Head,
    RequestHead,
    ResponseHead,
    judge_request,
    judge_response,
)
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
        self._waiting: deque[Exchange] = deque()
        """Requests in order whose final response has not begun."""
        self._given_up = 0
        """Requests older than those, shown when more than `max_pending` waited: their responses come first."""
        self._torn = False
        """Behind a gap: which of the waiting requests, or of those in the hole, a response answers is not known ..."""
        self._sure = 0
        """... but for so many of the oldest that wait, which come before it."""
        self._owed = False
        """A gap in the responses has hidden the ends of several exchanges, and none was seen since."""
        self._pipelines = False
        """The client has sent a request while another one was unanswered, beyond doubt."""
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
        self._waiting.clear()
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
        pending = dict.fromkeys((self._responses.exchange, *self._waiting, self._requests.exchange))
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
            self._check_held(side, held, chunk)
            return len(chunk.data)
        after = at + end.end() - held
        head = bytes(side.held[: end.end()])
        del side.held[held:]
        self._begin(side, head, chunk, at, after)
        return after

    def _check_held(self, side: Side, before: int, chunk: Chunk) -> None:
        """Do not wait for the end of what is no head."""
        if len(side.held) > self._limits.max_head:
            self._leave("a head is too long", chunk, len(chunk.data))
        if side.held.find(b"\n", 0, before) >= 0:
            return  # the start line was whole before, and judged
        verdict = side.judge(bytes(side.held[: self._limits.max_sniff]))
        too_long = verdict is Verdict.MORE and len(side.held) >= self._limits.max_sniff
        if too_long or verdict is Verdict.NO:
            self._leave("no start line", chunk, len(chunk.data))

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
            self._read_live(side, part)
            if not part.framing.done:
                return
        self._finish(side, part)
        if exchange and exchange.switched:
            upgrade = exchange.upgrade(self._requests.direction)
            self._leave("the connection switched protocols", chunk, after, upgrade)

    def _begin_request(self, head: RequestHead, began: int, now: int) -> None:
        part = Part(head, self._request_framing(head), began, now)
        exchange = Exchange(part)
        if self._torn and not (self._waiting or self._responses.part or self._owed or self._pipelines):
            self._torn = False
        elif self._waiting and self._waiting[-1].began == began:
            self._pipelines = True  # one call has sent both
        self._waiting.append(exchange)
        if part.framing:
            self._requests.part = part
            self._requests.exchange = exchange
        else:
            part.complete = True
            self._budget.left -= head.cost
        if len(self._waiting) > self._limits.max_pending:
            self._give_up(self._waiting.popleft())

    def _begin_response(self, head: ResponseHead, began: int, now: int) -> None:
        if head.status < 200 and head.status != 101:
            return
        self._owed = False
        exchange = self._answered()
        exchange.response = Part(head, self._response_framing(head, exchange.method), began, now)
        self._responses.part = exchange.response
        self._responses.exchange = exchange

    # --- pairing -----------------------------------------------------------------------------------

    def _answered(self) -> Exchange:
        """Take the exchange that a final response belongs to."""
        if self._given_up:
            self._given_up -= 1
            return Exchange(problem="its request was shown before: too many were waiting")
        if self._torn and not self._sure:
            self._show_unanswered()
            return Exchange()
        if not self._waiting:
            return Exchange()
        exchange = self._waiting.popleft()
        self._sure = max(self._sure - 1, 0)
        self._pipelines = self._pipelines or bool(self._waiting)
        return exchange

    def _give_up(self, exchange: Exchange) -> None:
        if self._sure or not self._torn:
            self._given_up += 1
            self._sure = max(self._sure - 1, 0)
        exchange.unanswered(f"{self._limits.max_pending} further requests")
        self._show(exchange)

    def _show_unanswered(self) -> int:
        """Show the requests that wait, and are whole, without a response; return how many they are."""
        number = 0
        while self._waiting and self._waiting[0].sent:
            exchange = self._waiting.popleft()
            exchange.unanswered("bytes were lost")
            self._show(exchange)
            number += 1
        return number

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
        if side is self._responses:
            hidden = self._given_up + self._show_unanswered()
            self._owed = hidden > 1
            self._given_up = 0
            self._sure = 0 if self._pipelines else len(self._waiting)
        elif not self._torn:
            self._sure = len(self._waiting)
        self._torn = True

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

    def _read_live(self, side: Side, part: AnyPart) -> None:
        """Have a body read while it arrives, where its media type asks for it and nothing but chunks wraps it."""
        fields = part.head.fields
        reader = reader_of(fields.media) if fields.media else None
        if reader and fields.transfer in {None, "chunked"}:
            request = side.exchange.request if side.exchange else None
            url = request.head.url if request else None
            carried = Carried(self._connection, side.direction, None, url, fields.fields)
            part.read_live(reader(carried, self._limits), self._limits)

    def _request_framing(self, head: RequestHead) -> Framing | None:
        """Choose by RFC 9112 section 6.3, items 3 to 7."""
        fields = head.fields
        if fields.transfer is None and fields.length is None:
            return None  # most requests
        if fields.transfer is not None and not head.chunked:
            raise HeadError("a request whose body has no end")
        return self._framing(head)

    def _response_framing(self, head: ResponseHead, method: str | None) -> Framing | None:
        """Choose by RFC 9112 section 6.3, items 1, 2, 4 and 8."""
        if method == "HEAD" or head.status in {204, 304} or switches(method, head.status):
            return None
        return self._framing(head) or UntilClose(Body(self._limits))

    def _framing(self, head: Head) -> Framing | None:
        if head.fields.transfer is not None:
            return Chunked(Body(self._limits), self._limits.max_head) if head.chunked else None
        if head.fields.length is not None:
            return Sized(head.fields.length, Body(self._limits))
        return None

    # --- the end of HTTP ---------------------------------------------------------------------------

    def _leave(self, reason: str, chunk: Chunk, at: int, upgrade: Upgrade | None = None) -> NoReturn:
        """Give the connection up: bytes held and those from index `at` on are in no message."""
        self._side(chunk.direction).hold(chunk, at)
        rest = self._held()
        raise ProtocolError(reason, self.close(chunk.time, Ending.LEFT), rest, upgrade)
