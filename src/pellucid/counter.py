"""One line on a terminal that says how a capture goes whose messages go elsewhere."""

from __future__ import annotations

import os
import select
import stat
import time
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError
from pellucid.log import ERASE
from pellucid.model import ConnectionEvent, Http, Lost, Summary
from pellucid.sink import Output, OutputClosed, Sink, SinkOptions
from pellucid.sink.payload import count
from pellucid.sink.style import columns, has_colors, painter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pellucid.model import Message

_STDERR = 2

EVERY = 0.25
"""Seconds between two lines: more often nobody can read it."""

_RATE_OVER = 1.0
"""Seconds over which the rate is measured, at least."""


def counter_for(fds: Iterable[int], *, recording: bool) -> Counter | None:
    """A counter on stderr, where that is a terminal and none of these, to which messages or packets go, is one, or leads
    to a program that may write there (`| tshark -r -`).

    With `recording` it counts bytes, for no message is made of them.
    """
    if not os.isatty(_STDERR) or not all(_is_quiet(fd) for fd in fds):
        return None
    return Counter(os.dup(_STDERR), recording=recording)


def _is_quiet(fd: int) -> bool:
    """Nobody reads along there: behind a pipe there may be a pager, on this very terminal."""
    return not os.isatty(fd) and not stat.S_ISFIFO(os.fstat(fd).st_mode)


class Counter(Sink):
    """Counts what passes, and shows it; never waits for the terminal, and gives up when that is gone.

    Lines of the log erase it (`log.ERASE`), whichever process they are of; it comes back below them.
    """

    def __init__(self, fd: int, *, recording: bool = False) -> None:
        super().__init__(Output(fd, "stderr"), SinkOptions())
        self._paint = painter(has_colors(fd))
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._fd = fd
        self._recording = recording
        """No message is made of what comes, and nobody knows yet what is lost: bytes are all that can be told."""
        self._drawn = 0.0
        self._since, self._before = time.monotonic(), 0
        self._rate = 0.0
        self._visible = self._gone = False
        self._bytes = self._exchanges = self._others = self._lost = self._holes = 0

    def watch(self, batches: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        """Pass batches on: their bytes show that something moves, also while no message ends, or none is made."""
        for batch in batches:
            self._bytes += len(batch)
            yield batch
            self.flush()

    def write(self, message: Message) -> None:
        """Count a message; the summary ends the counting."""
        match message:
            case Http():
                self._exchanges += 1
            case Lost():
                self._holes += 1
                self._lost += message.size if message.conn is not None else 0
            case ConnectionEvent():
                pass
            case Summary():
                self._erase()
                self._gone = True
            case _:
                self._others += 1

    def flush(self) -> None:
        """Show the line, if it is time."""
        now = time.monotonic()
        if self._gone or now - self._drawn < EVERY or not self._poll.poll(0):
            return
        self._measure(now)
        self._drawn = now
        self._visible = True
        self._send(lambda: ERASE + self._line(columns(self._fd) - 1))  # in the last column it may wrap

    def close(self) -> None:
        """Erase the line."""
        self._erase()
        self._gone = True
        self._output.close()

    def _measure(self, now: float) -> None:
        if now - self._since >= _RATE_OVER:
            so_far = self._bytes if self._recording else self._exchanges + self._others
            self._rate = (so_far - self._before) / (now - self._since)
            self._since, self._before = now, so_far

    def _line(self, width: int) -> str:
        if self._recording:
            return self._paint("note", f"{_size(self._bytes)} recorded  {_size(self._rate)}/s"[:width])
        others = f"  {_grouped(self._others, 'other message')}" if self._others else ""
        seen = f"{_grouped(self._exchanges, 'exchange')}{others}  {_size(self._bytes)}  {self._rate:,.0f}/s  "
        lost = f"LOST {self._lost:,} bytes in {count(self._holes, 'hole')}" if self._holes else "nothing lost"
        seen, lost = seen[:width], lost[: max(width - len(seen), 0)]
        return self._paint("note", seen) + self._paint("warning" if self._holes else "note", lost)

    def _erase(self) -> None:
        if self._visible and not self._gone and self._poll.poll(0):
            self._send(lambda: ERASE)
        self._visible = False

    def _send(self, text: Callable[[], str]) -> None:
        try:
            self._output.write(text().encode())
            self._output.flush()
        except (OSError, OutputClosed, PellucidError):
            self._gone = True  # the terminal was closed: the capture does not depend on it


def _size(number: float) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} kB"


def _grouped(number: int, unit: str) -> str:
    """Return `1 exchange`, `1,204 exchanges`."""
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"
