"""The pipeline: from batches to sinks, how it counts, and what one sink's end means for the others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pellucid.audit import Audit, Wanted
from pellucid.capture.envelope import pack, split
from pellucid.capture.recording import read_recording
from pellucid.errors import PellucidError
from pellucid.model import Chunk, Http, Kind, Open, Query, Summary, Totals
from pellucid.parse import Limits
from pellucid.parse.http1.parser import Http1
from pellucid.parse.postgres.parser import Postgres
from pellucid.pipeline import Pipeline, only_context
from pellucid.sink import Output, OutputClosed, SinkOptions, Tap
from tests.parse.dialogue import STEP, Dialogue
from tests.shell import RECORDINGS

if TYPE_CHECKING:
    from pellucid.model import Flow, Message

LIMITS = Limits(max_body=1 << 20, max_decoded=1 << 20)


class Shelf:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.calls: list[str] = []

    def begin(self) -> None:
        """Note it."""
        self.calls.append("begin")

    def write(self, message: Message) -> None:
        """Keep it."""
        self.messages.append(message)
        self.calls.append("write")

    def flush(self) -> None:
        """Note it."""
        self.calls.append("flush")

    def close(self) -> None:
        """Note it."""
        self.calls.append("close")


class Failing(Shelf):
    """A sink that fails at its third message."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, message: Message) -> None:
        """Keep two."""
        if len(self.messages) == 2:
            raise self._error
        super().write(message)


def batches(name: str = "curl_nginx") -> list[bytes]:
    """A recording, one envelope a batch."""
    with (RECORDINGS / f"{name}.pellucid").open("rb") as file:
        whole = b"".join(read_recording(file, lambda: None))
    return [pack(kind, bytes(payload), object_id) for kind, object_id, payload in split(whole)]


def shown(*sinks: Shelf, count: int | None = None) -> int:
    """Run the recording into the sinks; how often the pipeline said that it had enough."""
    enough: list[bool] = []
    Pipeline([Http1], LIMITS, sinks, count, lambda: enough.append(True)).run(batches())
    return len(enough)


def test_all_messages_in_order() -> None:
    """Every sink gets every message, and the summary last."""
    one, other = Shelf(), Shelf()
    assert shown(one, other) == 0
    assert one.messages == other.messages
    assert [type(message) for message in one.messages].count(Http) > 1
    assert isinstance(one.messages[-1], Summary)


def test_batches_may_be_of_any_size() -> None:
    """All envelopes in one batch give the same messages as one envelope a batch."""
    small, large = Shelf(), Shelf()
    shown(small)
    Pipeline([Http1], LIMITS, [large]).run([b"".join(batches())])
    assert large.messages == small.messages


def test_each_batch_is_flushed() -> None:
    """Each sink begins first; what a batch has brought is handed to the system before the next; at the end all is closed."""
    sink = Shelf()
    shown(sink)
    assert sink.calls[0] == "begin"
    assert sink.calls.count("flush") == len(batches())
    assert sink.calls[-1] == "close"


@pytest.mark.parametrize("count", [1, 2])
def test_count(count: int) -> None:
    """After N exchanges nothing follows but the summary, which tells of just those; said once that it is enough."""
    sink = Shelf()
    assert shown(sink, count=count) == 1
    assert [type(message) for message in sink.messages if isinstance(message, Http | Summary)] == [
        *[Http] * count,
        Summary,
    ]
    summary = sink.messages[-1]
    assert isinstance(summary, Summary)
    assert sum(summary.captured.values()) == len(sink.messages) - 1
    assert summary.captured["http"] == count


def test_a_reader_that_leaves() -> None:
    """The sink whose reader is gone is left out, the capture is to end, and the others get everything."""
    gone, other, reference = Failing(OutputClosed("stdout")), Shelf(), Shelf()
    shown(reference)
    assert shown(gone, other) == 1
    assert len(gone.messages) == 2
    assert other.messages == reference.messages


def test_a_sink_that_cannot_write() -> None:
    """Its error ends the run; the others are closed with what they have."""
    full, other = Failing(PellucidError("cannot write to x: No space left on device")), Shelf()
    with pytest.raises(PellucidError, match="No space left"):
        shown(full, other)
    assert other.calls[-1] == "close"
    assert len(other.messages) == 2


def test_without_records() -> None:
    """Only context, no record: of a capture that only records, the summary is all that is shown."""
    sink = Shelf()
    Pipeline([Http1], LIMITS, [sink]).run(only_context(batches()))
    (summary,) = sink.messages
    assert isinstance(summary, Summary)
    assert summary.captured == {}
    assert summary.bytes > 0


def test_only_context_keeps_the_rest() -> None:
    """Of a stream's kinds of envelope only records are left out; what is empty stays, for it is a time to flush."""
    kept = list(only_context([*batches(), b""]))
    assert kept.pop() == b""
    assert {next(split(batch)).kind for batch in kept} == {Kind.OBJECT, Kind.CONTEXT, Kind.END}


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "capture ended"])
@pytest.mark.parametrize(("steps", "wanted"), [(3, ["SELECT 2"]), (4, [])], ids=["long enough", "too short"])
def test_a_query_that_still_runs(closed: bool, steps: int, wanted: list[str]) -> None:
    """Of one without an answer `--slower-than` judges how long it had run when its connection, or the capture, ended."""
    talk = Dialogue(mid=True, parsers=(Postgres,))
    talk = talk >> b"Q\0\0\0\x0dSELECT 1\0" << b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"
    talk = talk >> b"Q\0\0\0\x0dSELECT 2\0" << b"N\0\0" << b"\0\x05\0"
    flows, sink = (talk.close() if closed else talk).flows(), Shelf()
    audit = Audit(Wanted(slower_than=steps * STEP / 1e6))
    Pipeline([Postgres], LIMITS, [sink], select=lambda _none: flows, audit=audit).run([])
    shown = [message for message in sink.messages if isinstance(message, Query)]
    assert [message.query for message in shown] == wanted
    assert all(message.duration_ms is None for message in shown)


class Tapping(Tap):
    """A tap that keeps what it is given, and leaves after a while if it is to."""

    format = "tapping"

    def __init__(self, stay: int = 1 << 30) -> None:
        super().__init__(Output(os.open(os.devnull, os.O_WRONLY), "null"), SinkOptions())
        self.flows: list[Flow] = []
        self._stay = stay

    def tap(self, flow: Flow) -> None:
        """Keep it."""
        if len(self.flows) == self._stay:
            raise OutputClosed("the tap")
        self.flows.append(flow)


def test_a_tap() -> None:
    """It gets everything that parsers get, in order: what was sent, to the byte, between the opening and the totals."""
    tap, sink = Tapping(), Shelf()
    Pipeline([Http1], LIMITS, [tap, sink]).run(batches())
    assert isinstance(tap.flows[0], Open)
    assert isinstance(tap.flows[-1], Totals)
    asked = [
        bytes(flow.data) for flow in tap.flows if isinstance(flow, Chunk) and b"GET /1 " in bytes(flow.data)
    ]
    assert len(asked) == 2  # by the client, and as the server read it
    assert [type(message) for message in sink.messages].count(Http) > 1


def test_a_tap_and_the_count() -> None:
    """What comes after the last message that `--count` asks for does not reach a tap; the totals do."""
    tap, every = Tapping(), Tapping()
    Pipeline([Http1], LIMITS, [every]).run(batches())
    Pipeline([Http1], LIMITS, [tap], 1).run(batches())
    *flows, totals = tap.flows
    assert isinstance(totals, Totals)
    assert 0 < len(flows) < len(every.flows) - 1
    answers = [
        flow for flow in flows if isinstance(flow, Chunk) and bytes(flow.data).startswith(b"HTTP/1.1 200")
    ]
    assert len(answers) == 1


def test_a_tap_whose_reader_leaves() -> None:
    """It is left out, the capture is to end, and the others get everything."""
    tap, sink, reference = Tapping(stay=3), Shelf(), Shelf()
    shown(reference)
    assert shown(tap, sink) == 1
    assert len(tap.flows) == 3
    assert sink.messages == reference.messages
