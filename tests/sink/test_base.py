"""What every sink has: hooks for the beginning and end of each file, and messages that stay whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.sink.messages import raw

from pellucid.errors import PellucidError
from pellucid.sink import Output, Rotation, Sink, SinkOptions

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Book(Sink):
    """A format with a head and a tail."""

    format = "book"

    def begin(self) -> None:
        """The head."""
        self._output.write(b"[")

    def write(self, message) -> None:
        """A page."""
        self._append(message.data.encode())

    def finish(self) -> None:
        """The tail."""
        self._output.write(b"]")


@pytest.fixture
def books(tmp_path: Path):
    """`books(size, seconds)`: a sink whose files are `0`, `1` and so on."""
    made = []

    def following() -> int:
        made.append(tmp_path / str(len(made)))
        return os.open(made[-1], FLAGS)

    def make(size: float = 0, seconds: float = 0) -> tuple[Book, list[Path]]:
        return Book(Output(following(), "x", Rotation(size, seconds, following)), SinkOptions()), made

    return make


def shown(sink: Sink, *texts: str) -> None:
    """Write these and close."""
    sink.begin()
    for text in texts:
        sink.write(raw(text))
    sink.close()


def test_each_file_has_its_head_and_tail(books) -> None:
    """A rotation finishes one file and begins the next; a message that would make it too long is the next one's first."""
    sink, files = books(size=5)
    shown(sink, "aa", "bb", "cc", "dddddd", "e")
    assert [file.read_bytes() for file in files] == [b"[aabb]", b"[cc]", b"[dddddd]", b"[e]"]


def test_no_message_no_rotation(books) -> None:
    """A file without messages is whole too, and no other one begins."""
    sink, files = books(size=1)
    shown(sink)
    assert [file.read_bytes() for file in files] == [b"[]"]


def test_by_time(books, monkeypatch) -> None:
    """The first message after the time begins a file, and the time begins anew with it."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    sink, files = books(seconds=10)
    sink.begin()
    for moment, text in ((105, "a"), (109.9, "b"), (110, "c"), (119, "d"), (125, "e")):
        now[0] = moment
        sink.write(raw(text))
    sink.close()
    assert [file.read_bytes() for file in files] == [b"[ab]", b"[cd]", b"[e]"]


def test_nobody_opens_the_next_file(tmp_path: Path) -> None:
    """Where it cannot be had because the other process is gone, the present one goes on."""
    output = Output(os.open(tmp_path / "x", FLAGS), "x", Rotation(1, 0, lambda: None))
    shown(Book(output, SinkOptions()), "a", "b", "c")
    assert (tmp_path / "x").read_bytes() == b"[abc]"


def test_a_tail_that_cannot_be_written(tmp_path: Path) -> None:
    """It is an error, and the file is closed all the same."""
    fd = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(PellucidError, match="No space left on device"):
        shown(Book(Output(fd, "x"), SinkOptions()))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
