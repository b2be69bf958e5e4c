"""Recordings: what is written is read, whole or cut."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.capture.envelope import pack, split
from pellucid.capture.recording import MAGIC, VERSION, Recorder, read_recording
from pellucid.errors import FormatError
from pellucid.model import Kind
from pellucid.sink import Output
from pellucid.sink.output import BUFFER_LIMIT


class Sheet(io.BytesIO):
    """An output that keeps what was written."""


def recorded(*batches, limit=1 << 20):
    """The file that a recorder makes of the batches, and how often it said that it was full."""
    sheet, full = Sheet(), []
    recorder = Recorder(sheet, limit, lambda: full.append(True))
    for batch in batches:
        recorder.write(batch)
    return sheet.getvalue(), len(full)


def read(data):
    """All bytes of the batches, and how often the reader said that the file was cut."""
    cut = []
    return b"".join(read_recording(io.BytesIO(data), lambda: cut.append(True))), len(cut)


@pytest.fixture
def stream():
    """A few envelopes and the end."""
    return [pack(Kind.RECORD, b"one", 1) + pack(Kind.RECORD, b"two", 1), pack(Kind.END)]


def test_what_is_recorded_is_read(stream):
    """The batches come back as they were, and nothing is said."""
    data, full = recorded(*stream)

    assert read(data) == (b"".join(stream), 0)
    assert full == 0


def test_an_empty_batch_is_nothing(stream):
    """What only says that nothing has come leaves no trace."""
    assert recorded(stream[0], b"", stream[1], b"") == recorded(*stream)


@pytest.mark.parametrize("size", [1, BUFFER_LIMIT + 1])
def test_a_batch_is_its_owners_again_once_it_is_written(size, tmp_path):
    """What becomes of a batch's memory afterwards, which the drain fills anew, does not change the recording."""
    path = tmp_path / "recording"
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
    recorder = Recorder(output, 2 * size + 1024, list)
    envelope = pack(Kind.RECORD, b"x" * size, 1)
    batch = bytearray(envelope)
    recorder.write(memoryview(batch))
    batch[:] = bytes(len(batch))
    recorder.flush()
    output.close()

    assert path.read_bytes() == MAGIC + envelope


@given(st.integers(min_value=len(MAGIC), max_value=len(MAGIC) + 29))
def test_a_cut_recording_is_read_up_to_its_last_whole_envelope(length):
    """Wherever the file ends before its end envelope, whole envelopes come out and the cut is told."""
    whole = [pack(Kind.RECORD, b"one", 1), pack(Kind.RECORD, b"two", 1), pack(Kind.END)]
    data, _ = recorded(*whole)
    found, cut = read(data[:length])

    assert cut == 1
    assert b"".join(whole).startswith(found)
    assert [bytes(at.payload) for at in split(found)] == [b"one", b"two"][: (length - len(MAGIC)) // 11]


def test_the_limit_ends_the_recording_whole():
    """At the limit the file gets its end, stays below the limit, and the recorder says so once."""
    batch = pack(Kind.RECORD, bytes(92), 1)
    data, full = recorded(batch * 10, batch, limit=550)
    found, cut = read(data)
    *records, context, end = split(found)

    assert full == 1
    assert len(data) <= 550
    assert cut == 0
    assert [bytes(at.payload) for at in records] == [bytes(92)] * 4
    assert b'"complete":false' in bytes(context.payload)
    assert end.kind is Kind.END


def test_an_absurd_size_is_damage():
    """An envelope that claims gigabytes is refused before anything is read for it."""
    with pytest.raises(FormatError, match="damaged"):
        read(MAGIC + b"\xff\xff\xff\xff" + bytes(100))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a Pellucid recording"),
        (b"GIF89a" * 10, "not a Pellucid recording"),
        (MAGIC.replace(b"\r\n", b"\n"), "not a Pellucid recording"),
        (MAGIC[:13] + b"\x63\x00\x00", f"a recording of format 99; this version of Pellucid reads {VERSION}"),
    ],
)
def test_other_files_are_refused(data, says):
    """A file that is no recording, was mangled as text, or is of another version is named as that."""
    with pytest.raises(FormatError, match=says):
        read(data)
