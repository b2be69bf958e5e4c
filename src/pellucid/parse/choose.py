"""The parse stage: finds for each connection the parser that claims it, else shows its bytes.

    UNDECIDED --a parser says YES--> PARSED --ProtocolError--> RAW
        |  all say NO                                           ^
        +-------------------------------------------------------+

A connection whose beginning was not seen (`mid`, or a gap before a parser was found) never becomes RAW
by a NO: its first bytes may be the middle of a message, so each later chunk is a new beginning.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from msgspec import UNSET

from pellucid.model import Chunk, Close, Connection, Direction, Flow, Gap, Message, Open, Summary, Totals
from pellucid.parse.protocol import Ending, Protocol, ProtocolError, Verdict
from pellucid.parse.raw import connection_event, lost, raw_all, raw_data
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.parse.limits import Limits

_HELD_CHUNK = 8
"""What a held chunk counts for at least against `max_sniff`: tiny ones cost memory by their number, some
200 bytes each, so that 16 KiB of single bytes would be 3 MiB. A line of 2 KiB may still come in single bytes."""


class _Undecided:
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


class _Stream:
    """What is known of one connection."""

    __slots__ = ("connection", "held", "parser", "seeking")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.parser: Protocol | None = None
        self.held: _Undecided | None = _Undecided()
        """None once it is decided, by a parser or against all of them."""
        self.seeking = connection.mid
        """The beginning was not seen, so a NO holds for these bytes only."""

    def release(self) -> list[Chunk]:
        """Give up waiting for more, for these bytes."""
        chunks = self.held.chunks if self.held else []
        self.held = _Undecided() if self.seeking else None
        return chunks


class Parse:
    """The stage: `parsers` in the order in which they are asked."""

    def __init__(self, parsers: Sequence[type[Protocol]], limits: Limits) -> None:
        self._parsers = parsers
        self._limits = limits
        self._streams: dict[int, _Stream] = {}
        self._captured: Counter[type[Message]] = Counter()

    def parse(self, flow: Flow) -> Iterable[Message]:
        """Take the next value of the flow; return the messages it completes, in order."""
        messages = self._messages(flow)
        for message in messages:
            self._captured[type(message)] += 1
        return messages

    def _messages(self, flow: Flow) -> Sequence[Message]:
        match flow:
            case Chunk():
                return self._chunk(self._stream(flow.connection), flow)
            case Gap():
                return [*self._gap(self._stream(flow.connection), flow), lost(flow)]
            case Open():
                self._stream(flow.connection)
                return [connection_event(flow.connection, flow.time, "opened")]
            case Close():
                return self._close(flow)
            case Totals():
                return self._totals(flow)
            case _:
                assert_never(flow)

    def _stream(self, connection: Connection) -> _Stream:
        stream = self._streams.get(connection.id)
        if stream is None:
            stream = self._streams[connection.id] = _Stream(connection)
        return stream

    def _chunk(self, stream: _Stream, chunk: Chunk) -> Sequence[Message]:
        if not chunk.data:
            return []
        if stream.parser:
            return self._parsed(stream, stream.parser, chunk)
        if stream.held is None:
            return [raw_data(chunk)]
        return self._undecided(stream, stream.held, chunk)

    def _undecided(self, stream: _Stream, held: _Undecided, chunk: Chunk) -> Sequence[Message]:
        head = held.hold(chunk)
        verdicts = [parser.claims(head[: self._limits.max_sniff]) for parser in self._parsers]
        if Verdict.YES in verdicts:
            parser = self._parsers[verdicts.index(Verdict.YES)]
            stream.parser = parser(stream.connection, self._limits, chunk.direction, head)
            return self._replay(stream)
        if Verdict.MORE in verdicts and held.size < self._limits.max_sniff:
            return []
        return self._unclaimed(stream)

    def _replay(self, stream: _Stream) -> Sequence[Message]:
        """Let a parser that was just chosen see what it was chosen by."""
        stream.seeking = False
        return [message for chunk in stream.release() for message in self._chunk(stream, chunk)]

    def _unclaimed(self, stream: _Stream) -> Sequence[Message]:
        *before, last = stream.release()
        if stream.seeking and before:  # the last chunk may begin what the earlier ones did not
            return [*raw_all(before), *self._chunk(stream, last)]
        return raw_all([*before, last])

    def _parsed(self, stream: _Stream, parser: Protocol, piece: Chunk | Gap) -> Sequence[Message]:
        try:
            return parser.feed(piece) if isinstance(piece, Chunk) else parser.gap(piece)
        except ProtocolError as left:
            stream.parser = None
            return [*left.messages, *raw_all(left.rest)]

    def _gap(self, stream: _Stream, gap: Gap) -> Sequence[Message]:
        if stream.parser:
            return self._parsed(stream, stream.parser, gap)
        stream.seeking = stream.seeking or stream.held is not None
        return raw_all(stream.release())

    def _pending(self, stream: _Stream, time: int, ending: Ending) -> Sequence[Message]:
        if stream.parser:
            return stream.parser.close(time, ending)
        return raw_all(stream.release())

    def _close(self, close: Close) -> Sequence[Message]:
        stream = self._streams.pop(close.connection.id, None)
        pending = self._pending(stream, close.time, Ending.CLOSED) if stream else []
        return [*pending, connection_event(close.connection, close.time, "closed")]

    def _totals(self, totals: Totals) -> Sequence[Message]:
        pending = [
            message
            for stream in self._streams.values()
            for message in self._pending(stream, totals.time, Ending.CAPTURE)
        ]
        self._streams.clear()
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
            ),
        ]


def _tag(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)
