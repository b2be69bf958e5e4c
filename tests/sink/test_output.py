"""Output: what is written arrives, and what cannot be written is said."""

from __future__ import annotations

import os
import resource
import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from pellucid.errors import PellucidError
from pellucid.sink import Output, OutputClosed
from pellucid.sink.output import BUFFER_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MORE_THAN_A_PIPE = bytes(range(256)) * 4096
"""1 MiB: sixteen times what a pipe holds."""


@contextmanager
def reading(fd: int) -> Iterator[bytearray]:
    """Read a descriptor to its end in another thread; the result is whole when the block is left."""
    received = bytearray()

    def drain() -> None:
        while piece := os.read(fd, 4096):
            received.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    yield received
    thread.join()
    os.close(fd)


def test_nothing_is_written_before_a_flush() -> None:
    """Small writes stay in the buffer until they are flushed, then arrive in order."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    output = Output(writer, "pipe")
    output.write(b"one ")
    output.write(b"two")
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    output.flush()
    assert os.read(reader, 100) == b"one two"
    output.close()
    os.close(reader)


def test_a_full_buffer_is_written_unasked(tmp_path: Path) -> None:
    """A buffer that exceeds its limit is written without a flush."""
    path = tmp_path / "out"
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
    output.write(bytes(BUFFER_LIMIT))
    assert path.stat().st_size == 0
    output.write(b"x")
    assert path.stat().st_size == BUFFER_LIMIT + 1
    output.close()


def test_partial_writes_are_continued() -> None:
    """A pipe that takes a few bytes at a time, and refuses to block, still gets all of them in order."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    output = Output(writer, "pipe")
    with reading(reader) as received:
        output.write(MORE_THAN_A_PIPE)
        output.close()
    assert bytes(received) == MORE_THAN_A_PIPE


def test_signals_do_not_cut_a_write() -> None:
    """Signals that arrive while a write waits neither lose nor repeat a byte (EINTR)."""
    reader, writer = os.pipe()
    ticks = 0

    def tick(_number: int, _frame: object) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 5:  # only now does the blocked writer get a reader
            thread.start()

    received = bytearray()

    def drain() -> None:
        while piece := os.read(reader, 65536):
            received.extend(piece)

    thread = threading.Thread(target=drain)
    output = Output(writer, "pipe")
    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        output.write(MORE_THAN_A_PIPE)
        output.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    thread.join()
    os.close(reader)
    assert bytes(received) == MORE_THAN_A_PIPE


def test_a_reader_that_goes_away_is_no_error() -> None:
    """A closed pipe raises OutputClosed, which is not a PellucidError: `| head` ends with status 0."""
    reader, writer = os.pipe()
    output = Output(writer, "stdout")
    output.write(b"x")
    os.close(reader)
    with pytest.raises(OutputClosed) as caught:
        output.flush()
    assert not isinstance(caught.value, PellucidError)
    output.close()


def test_a_reader_that_goes_away_ends_a_waiting_write() -> None:
    """A write that waits on a full pipe ends with OutputClosed when the reader closes it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    output = Output(writer, "stdout")
    closing = threading.Thread(target=lambda: (os.read(reader, 1), os.close(reader)))
    closing.start()
    with pytest.raises(OutputClosed):
        output.write(MORE_THAN_A_PIPE)
    closing.join()
    output.close()


def test_a_full_disk_is_an_error() -> None:
    """ENOSPC names the output and the reason, on one line, with exit status 1."""
    output = Output(os.open("/dev/full", os.O_WRONLY), "events.ndjson")
    output.write(b"x")
    with pytest.raises(PellucidError) as caught:
        output.flush()
    expected = "cannot write to events.ndjson: No space left on device"
    assert expected == str(caught.value)
    assert caught.value.exit_status == 1
    output.close()


def test_closing_reports_what_could_not_be_flushed() -> None:
    """A failure at the very last flush is an error too, and the descriptor is closed all the same."""
    fd = os.open("/dev/full", os.O_WRONLY)
    output = Output(fd, "events.ndjson")
    output.write(b"x")
    with pytest.raises(PellucidError, match="No space left on device"):
        output.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes: a full disk, but for the errno."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
@pytest.mark.parametrize("flushed", [{8}, {1, 8}, {2, 8}])
@pytest.mark.parametrize(("room", "kept"), [(37, 3), (40, 4), (9, 0)])
def test_a_full_disk_cuts_no_message(
    room: int, kept: int, flushed: set[int], flags: int, tmp_path: Path
) -> None:
    """When only a part fits it is an error, the file ends with its last whole message, and nothing comes behind that."""
    path = tmp_path / "out"
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT | flags), "out")

    def write() -> None:
        for number in range(1, 9):
            output.write(b"message %d\n" % number)
            if number in flushed:
                output.flush()

    with room_for(room), pytest.raises(PellucidError, match="cannot write to out: File too large"):
        write()
    output.write(b"end\n")
    output.close()
    assert path.read_text() == "".join(f"message {number + 1}\n" for number in range(kept))


def test_a_long_message_is_whole_or_missing(tmp_path: Path) -> None:
    """Nor is one cut that is too long for the buffer."""
    path = tmp_path / "out"
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT), "out")
    output.write(b"short\n")
    with room_for(BUFFER_LIMIT), pytest.raises(PellucidError, match="File too large"):
        output.write(MORE_THAN_A_PIPE)
    output.close()
    assert path.read_bytes() == b"short\n"


def test_blocks_are_cut_without_a_hole(tmp_path: Path) -> None:
    """Behind what `write_whole` has cut off comes neither another write, nor, of a shell with the same file, a hole."""
    path = tmp_path / "out"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    shell = os.dup(fd)
    output = Output(fd, "out")
    with room_for(25), pytest.raises(PellucidError, match="File too large"):
        output.write_whole(bytes(range(1, 41)), lambda written: len(written) // 10 * 10)
    output.write_whole(b"statistics", len)
    output.close()
    os.write(shell, b"shell")
    os.close(shell)
    assert path.read_bytes() == bytes(range(1, 21)) + b"shell"


def test_what_others_append_is_kept(tmp_path: Path) -> None:
    """Where another program has appended behind a message that did not fit, nothing of the file is cut off."""
    path = tmp_path / "out"
    output = Output(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "out")
    with ExitStack() as full:
        full.enter_context(room_for(5))

        def other_appends(_written: memoryview) -> int:
            full.close()
            with path.open("ab") as other:
                other.write(b" and others")
            return 0

        with pytest.raises(PellucidError, match="File too large"):
            output.write_whole(b"half a message", other_appends)
    output.close()
    assert path.read_bytes() == b"half  and others"


def test_closing_twice_closes_once() -> None:
    """A second close leaves alone a descriptor that has got the same number since."""
    reader, writer = os.pipe()
    output = Output(writer, "pipe")
    output.close()
    os.dup2(reader, writer)
    output.close()
    os.fstat(writer)
    os.close(writer)
    os.close(reader)
