"""The parse stage: finds for each connection the parser that claims it, else shows its bytes.

    UNDECIDED --a parser says YES--> PARSED --ProtocolError--> RAW
        |  all say NO                 ^  |  (or fails)          ^
        |                            +--+ an upgrade that      |
        |                                 another parser takes |
        +------------------------------------------------------+

A connection whose beginning was not seen (`mid`, or a gap before a parser was found) never becomes RAW
by a NO: its first bytes may be the middle of a message, so each later chunk is a new beginning.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from msgspec import UNSET

from pellucid.model import (
    Chunk,
    Close,
    Command,
    Connection,
    Flow,
    Gap,
    Logged,
    Message,
    Open,
    Summary,
    Totals,
)
from pellucid.parse.budget import CHUNK_COST, CONNECTION_COST, GROWTH, Budget
from pellucid.parse.commands import shell_message
from pellucid.parse.evict import make_room
from pellucid.parse.failures import Failures
from pellucid.parse.protocol import Ending, Protocol, ProtocolError, Upgrade, Verdict
from pellucid.parse.raw import connection_event, lost, raw_all, raw_data
from pellucid.parse.secrets import secret_message
from pellucid.parse.stream import Stream
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.parse.limits import Limits


class Parse:
    """The stage: `parsers` in the order in which they are asked."""

    def __init__(self, parsers: Sequence[type[Protocol]], limits: Limits) -> None:
        self._parsers = parsers
        self._limits = limits
        self._budget = Budget(limits.max_held)
        self._failures = Failures()
        self._streams: dict[int, Stream] = {}
        self._captured: Counter[type[Message]] = Counter()

    @property
    def held(self) -> int:
        """Bytes of memory that all connections take."""
        return sum(stream.size for stream in self._streams.values())

    def parse(self, flow: Flow) -> Iterable[Message]:
        """Take the next value of the flow; return the messages it completes, in order."""
        messages = self._chunk(flow) if type(flow) is Chunk else self._messages(flow)
        if self._budget.left < 0:
            messages = [*messages, *make_room(self._streams.values(), self._budget, flow.time)]
        for message in messages:
            self._captured[type(message)] += 1
        return messages

    def _messages(self, flow: Flow) -> Sequence[Message]:
        match flow:
            case Chunk():
                return self._chunk(flow)
            case Gap():
                return [*self._gap(self._stream(flow.connection), flow), lost(flow)]
            case Open():
                return self._open(flow)
            case Close():
                return self._close(flow)
            case Command() | Logged():
                return [_of_no_connection(flow)]
            case Totals():
                return self._totals(flow)
            case _:
                assert_never(flow)

    def _open(self, flow: Open) -> Sequence[Message]:
        stream = self._stream(flow.connection)
        stream.opened = flow.time
        return stream.introduce() if flow.connection.role else []

    def _stream(self, connection: Connection) -> Stream:
        stream = self._streams.get(connection.id)
        if stream is None:
            stream = self._streams[connection.id] = Stream(connection, self._failures)
            self._budget.charge(CONNECTION_COST)
        return stream

    def _chunk(self, chunk: Chunk) -> Sequence[Message]:
        stream = self._streams.get(chunk.connection.id) or self._stream(chunk.connection)
        if not chunk.data:
            return []
        self._budget.left -= (len(chunk.data) * GROWTH >> 3) + CHUNK_COST  # no call: this is the hot path
        if stream.parser:
            try:
                return stream.parser.feed(chunk)
            except ProtocolError as left:
                return self._left(stream, left)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                return [*stream.fail(error, chunk.time), raw_data(chunk)]
        if stream.decided:
            return [raw_data(chunk)]
        return self._undecided(stream, chunk)

    def _undecided(self, stream: Stream, chunk: Chunk) -> Sequence[Message]:
        head = stream.hold(chunk)
        self._budget.charge(len(chunk.data))
        verdicts = [self._verdict(parser, head, stream) for parser in self._parsers]
        if Verdict.YES in verdicts:
            parser = self._parsers[verdicts.index(Verdict.YES)]
            try:
                stream.parser = parser(stream.connection, self._limits, self._budget, chunk.direction, head)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                self._failures.add(parser, error)
            return [*stream.introduce(), *self._replay(stream)]
        if Verdict.MORE in verdicts and stream.waiting < self._limits.max_sniff:
            return []
        return [*stream.introduce(), *self._unclaimed(stream)]

    def _verdict(self, parser: type[Protocol], head: bytes, stream: Stream) -> Verdict:
        try:
            return parser.claims(head[: self._limits.max_sniff], stream.connection)
        except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
            self._failures.add(parser, error)
            return Verdict.NO

    def _replay(self, stream: Stream) -> Sequence[Message]:
        """Let a parser that was just chosen see what it was chosen by."""
        stream.seeking = False
        return [message for chunk in stream.release() for message in self._chunk(chunk)]

    def _unclaimed(self, stream: Stream) -> Sequence[Message]:
        *before, last = stream.release()
        if stream.seeking and before:  # the last chunk may begin what the earlier ones did not
            return [*raw_all(before), *self._chunk(last)]
        return raw_all([*before, last])

    def _left(self, stream: Stream, left: ProtocolError) -> Sequence[Message]:
        stream.parser = self._successor(stream, left.upgrade)
        if stream.parser is None:
            return [*left.messages, *raw_all(left.rest)]
        return [*left.messages, *(message for chunk in left.rest for message in self._chunk(chunk))]

    def _successor(self, stream: Stream, upgrade: Upgrade | None) -> Protocol | None:
        if upgrade is None:
            return None
        for parser in self._parsers:
            try:
                successor = parser.takes_over(stream.connection, self._limits, self._budget, upgrade)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                self._failures.add(parser, error)
                return None
            if successor:
                return successor
        return None

    def _gap(self, stream: Stream, gap: Gap) -> Sequence[Message]:
        if stream.parser:
            try:
                return stream.parser.gap(gap)
            except ProtocolError as left:
                return self._left(stream, left)
            except Exception as error:  # noqa: BLE001  # a bug of any parser, told by `Failures`
                return stream.fail(error, gap.time)
        stream.seeking = stream.seeking or not stream.decided
        return [*stream.introduce(), *raw_all(stream.release())]

    def _close(self, close: Close) -> Sequence[Message]:
        stream = self._streams.pop(close.connection.id, None)
        pending = [*stream.introduce(), *stream.end(close.time, Ending.CLOSED)] if stream else []
        return [*pending, connection_event(close.connection, close.time, "closed")]

    def _totals(self, totals: Totals) -> Sequence[Message]:
        pending = [
            message
            for stream in self._streams.values()
            for message in [*stream.introduce(), *stream.end(totals.time, Ending.CAPTURE)]
        ]
        self._streams.clear()
        self._failures.summarize()
        captured = self._captured + Counter(map(type, pending))
        return [
            *pending,
            Summary(
                ts=rfc3339(totals.time),
                captured={_tag(kind): count for kind, count in captured.items()},
                bytes=totals.seen_bytes,
                lost=totals.lost,
                targets=totals.targets,
                seconds=totals.seconds,
                complete=totals.complete,
                undecided=UNSET if totals.undecided is None else totals.undecided,
                left_out=UNSET if totals.left_out is None else totals.left_out,
                older=UNSET if totals.older is None else totals.older,
            ),
        ]


def _of_no_connection(flow: Command | Logged) -> Message:
    return shell_message(flow) if isinstance(flow, Command) else secret_message(flow)


def _tag(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)
