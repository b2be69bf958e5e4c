"""The counter line: what it says, how rarely, and that nothing of it stays on the screen."""

from __future__ import annotations

import os
import pty
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pellucid.counter import EVERY, Counter, counter_for
from pellucid.log import ERASE
from tests.sink.messages import connection, http, lost, raw, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Screen:
    """A terminal, and what was written to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (24, 120))
        os.set_blocking(self.ours, False)

    def seen(self) -> str:
        """What came since the last look."""
        seen = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.ours, 1 << 16):
                seen += piece
        return seen.decode()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """A terminal that does not want colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    made = Screen()
    yield made
    os.close(made.ours)
    os.close(made.theirs)


def test_what_it_says(screen: Screen) -> None:
    """Exchanges, other messages, megabytes, rate and loss, on a line that begins by erasing the last one."""
    counter = Counter(os.dup(screen.theirs))
    for _ in counter.watch([b"x" * 1_500_000]):
        for message in (http(), http(), raw("a"), connection(), lost()):
            counter.write(message)
    counter.close()
    assert screen.seen() == (
        f"{ERASE}2 exchanges  1 other message  1.5 MB  0/s  LOST 4,096 bytes in 1 hole{ERASE}"
    )


def test_a_recording(screen: Screen) -> None:
    """Of what is only recorded bytes are told, and nothing is claimed of losses, which nobody knows yet."""
    counter = Counter(os.dup(screen.theirs), recording=True)
    assert list(counter.watch([b"x" * 1234])) == [b"x" * 1234]
    counter.close()
    assert screen.seen() == f"{ERASE}1.2 kB recorded  0.0 kB/s{ERASE}"


def test_how_often(screen: Screen) -> None:
    """However much happens, it is drawn at most four times a second."""
    counter = Counter(os.dup(screen.theirs))
    began = time.monotonic()
    while time.monotonic() - began < 2.5 * EVERY:
        counter.write(http())
        counter.flush()
    drawn = screen.seen().count(ERASE)
    assert 2 <= drawn <= 1 + (time.monotonic() - began) / EVERY
    counter.close()


def test_the_end(screen: Screen) -> None:
    """With the summary it disappears, and does not come back."""
    counter = Counter(os.dup(screen.theirs))
    counter.flush()
    counter.write(summary())
    assert screen.seen().endswith(ERASE)
    counter.flush()
    counter.close()
    assert screen.seen() == ""


def test_a_terminal_that_takes_nothing(screen: Screen) -> None:
    """A stopped terminal (Ctrl-S) does not hold the capture up."""
    os.set_blocking(screen.theirs, False)
    with suppress(BlockingIOError):
        for _ in range(10_000):
            os.write(screen.theirs, b"x" * 4096)
    os.set_blocking(screen.theirs, True)
    counter = Counter(os.dup(screen.theirs))
    counter.flush()
    os.close(screen.ours)
    screen.ours = os.dup(screen.theirs)  # for the fixture to close
    counter.close()


def test_a_terminal_that_goes(screen: Screen) -> None:
    """A terminal that is closed ends the counter only."""
    counter = Counter(os.dup(screen.theirs))
    os.close(screen.ours)
    screen.ours = os.dup(screen.theirs)
    counter.flush()
    counter.write(http())
    counter.flush()
    counter.close()


def test_where_it_is_shown(screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a terminal, while messages, or packets, go to files, or nowhere; not beside messages, a pager or `| tshark -r -`."""
    monkeypatch.setattr("pellucid.counter._STDERR", screen.theirs)
    reader, writer = os.pipe()
    with (tmp_path / "file").open("wb") as file:
        fd = file.fileno()
        answers = [
            counter_for([fd], recording=False),
            counter_for([fd, screen.theirs], recording=False),
            counter_for([writer], recording=False),
            counter_for([], recording=True),
            counter_for([fd], recording=True),
            counter_for([writer], recording=True),
        ]
        assert [answer is not None for answer in answers] == [True, False, False, True, True, False]
        monkeypatch.setattr("pellucid.counter._STDERR", fd)
        assert counter_for([fd], recording=False) is None
    for answer in filter(None, answers):
        answer.close()
    os.close(reader)
    os.close(writer)
