"""The way a datum takes, on one screen.

    capture --Envelope--> decode --Record, Context--> join --Flow--> (select) --> parse --Message--> (audit) --> (redact) --> sink
                           |                        +-------- the same Flow --------> (tap)
                           +--> (packets: blocks as they go to the file; secrets, which stand before them)

The stages do no I/O of their own; a live capture and a replay differ only in where the batches come from.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pellucid.capture.envelope import HEADER, split
from pellucid.decode import Decode
from pellucid.errors import PellucidError
from pellucid.join import Join
from pellucid.model import ConnectionEvent, Kind, Lost, Message, Summary, Totals
from pellucid.packets import PacketSink
from pellucid.parse import Limits, Parse
from pellucid.sink import OutputClosed, Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pellucid.audit import Audit
    from pellucid.model import Envelope, Flow
    from pellucid.parse import Protocol
    from pellucid.sink import Sink

S = TypeVar("S", bound="Sink")

_PACKETS = (Kind.PACKETS, Kind.HELD)

_NOT_COUNTED = (ConnectionEvent, Lost, Summary)
"""What `--count` passes over: it counts what was said, not what was said about it."""


class Pipeline:
    """Batches of envelopes in, messages out to every sink."""

    def __init__(
        self,
        parsers: Sequence[type[Protocol]],
        limits: Limits,
        sinks: Sequence[Sink],
        count: int | None = None,
        enough: Callable[[], None] = lambda: None,
        select: Callable[[Iterable[Flow]], Iterable[Flow]] | None = None,
        redact: Callable[[Message], Message] | None = None,
        audit: Audit | None = None,
    ) -> None:
        self._decode = Decode().decode
        self._join = Join(limits.max_held)
        self._select = select
        self._parse = Parse(parsers, limits).parse
        self._redact = redact
        self._audit = audit
        self._sinks = list(sinks)
        self._taps = [sink for sink in sinks if isinstance(sink, Tap)]
        self._packets = [sink for sink in sinks if isinstance(sink, PacketSink)]
        self._left = count
        self._rest: Counter[str] = Counter()
        self._enough = enough
        self._summary: Summary | None = None
        self._left_early = False

    @property
    def summary(self) -> Summary | None:
        """The closing message; None until it has come."""
        return self._summary

    @property
    def unheard(self) -> Summary | None:
        """The closing message, where a reader left before it came (`| head`, or Ctrl-C in a pipe)."""
        return self._summary if self._left_early else None

    @property
    def listening(self) -> bool:
        """Whether any output still has a reader."""
        return bool(self._sinks)

    def run(self, batches: Iterable[bytes | memoryview]) -> None:
        """Take every batch; after each one the sinks have written what it brought.

        A sink that cannot write ends it; the others keep what came until then.
        """
        try:
            self._run(batches)
        except PellucidError:
            for sink in self._sinks:
                with suppress(PellucidError, OutputClosed):
                    sink.close()
            raise

    def _run(self, batches: Iterable[bytes | memoryview]) -> None:
        self._each(self._sinks, lambda sink: sink.begin())
        for batch in batches:
            for envelope in split(batch):
                if envelope.kind in _PACKETS:
                    self._take(envelope)
                    continue
                for value in self._decode(envelope):
                    for sink in self._packets:
                        sink.tell(value)
                    self._show(self._join(value))
            self._each(self._sinks, lambda sink: sink.flush())
        self._show(self._join.finish())
        self._each(self._sinks, lambda sink: sink.close())

    def _show(self, flows: Iterable[Flow]) -> None:
        for flow in self._select(flows) if self._select else flows:
            wanted = self._left != 0 or isinstance(flow, Totals)
            for message in self._parse(flow):  # first: a parser finds out who is the client
                self._deliver(message, flow.time)
            if wanted and self._taps:
                self._tap(flow)

    def _tap(self, flow: Flow) -> None:
        self._each(self._taps, lambda tap: tap.tap(flow))

    def _take(self, envelope: Envelope) -> None:
        self._each(self._packets, lambda sink: sink.take(envelope))

    def _deliver(self, message: Message, time: int) -> None:
        if isinstance(message, Summary):
            for shape in self._audit.table(message.ts) if self._audit else ():
                self._write(shape)
            self._summary = message = self._without_rest(message)
        elif self._audit and not self._audit.wants(message, time):
            self._rest[str(message.__struct_config__.tag)] += 1
            return
        elif self._left is not None and not self._counted(message, self._left):
            return
        self._write(message)

    def _write(self, message: Message) -> None:
        if self._redact:
            message = self._redact(message)
        for sink in tuple(self._sinks):
            try:  # no call: this is the hot path
                sink.write(message)
            except OutputClosed:
                self._leave(sink)

    def _counted(self, message: Message, left: int) -> bool:
        """Whether the message is among those that `--count` asks for."""
        if left <= 0:
            self._rest[str(message.__struct_config__.tag)] += 1
            return False
        if not isinstance(message, _NOT_COUNTED):
            self._left = left - 1
            if self._left == 0:
                self._enough()
        return True

    def _without_rest(self, summary: Summary) -> Summary:
        """The summary of what was shown: without the messages that came after `--count` was reached."""
        captured = {kind: number - self._rest[kind] for kind, number in summary.captured.items()}
        shown = {kind: number for kind, number in captured.items() if number}
        return msgspec.structs.replace(summary, captured=shown)

    def _each(self, sinks: Iterable[S], act: Callable[[S], None]) -> None:
        for sink in tuple(sinks):
            try:
                act(sink)
            except OutputClosed:
                self._leave(sink)

    def _leave(self, sink: Sink) -> None:
        """The reader of one output is gone (`| head`): the capture ends, the other sinks get the rest."""
        self._sinks.remove(sink)
        self._taps = [tap for tap in self._taps if tap is not sink]
        self._packets = [other for other in self._packets if other is not sink]
        self._left_early = True
        self._enough()


def only_context(batches: Iterable[bytes | memoryview]) -> Iterable[bytes | memoryview]:
    """Leave out batches of records, as a recording without live output does; the summary stays.

    So do empty batches: with them come flushes, which connections need to go on.
    """
    for batch in batches:
        if not len(batch) or HEADER.unpack_from(batch)[1] != Kind.RECORD:
            yield batch
