"""Commands as shells run them: words as they come, and how each ended.

A process has a stack of them: below a function lie the commands that it consists of. One that was left otherwise than by
its own return (`return` in a function, a lost record) ends with the one that it lies below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.errors import FormatError
from pellucid.join.shells import status_of, unmetafied
from pellucid.model import SHELLS, TEXTS, Command, Finished, Left, Ran, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN = re.compile(rb"[\w@%+=:,./\x80-\xff-]+")

MOST_BYTES = 1 << 20
"""Kept of each text of a command; the kernel sends as much."""

MOST_NESTED = 10_000
"""Commands of one process that have not ended, which a function that calls itself without end would make."""


_WORDS, _PROGRAM = TEXTS.index("words"), TEXTS.index("program")


class _Running:
    """A command that has not ended, or waits to begin."""

    __slots__ = ("begun", "cut", "ran", "replaced", "texts")

    def __init__(self, ran: Ran) -> None:
        self.ran = ran
        self.begun = ran.time
        self.texts = tuple(bytearray() for _ in TEXTS[:_PROGRAM])
        self.cut = {_WORDS}
        """The texts of which the end has not come; without words there would be none."""
        self.replaced = False

    def add(self, text: int, record: Words) -> None:
        """A piece of one of its texts."""
        kept = self.texts[text]
        room = max(MOST_BYTES - len(kept), 0)
        kept += record.bytes[:room]
        if record.last and not record.open and len(record.bytes) <= room:
            self.cut.discard(text)
        else:
            self.cut.add(text)


class Runs:
    """What shells run. Each method takes what its name says, and yields the commands that end with it.

    `user` is the name of a uid, None where it has none.
    """

    def __init__(self, user: Callable[[int], str | None]) -> None:
        self._user = user
        self._running: dict[int, list[_Running]] = {}
        self._waiting: dict[int, list[_Running]] = {}
        """Places in each shell's code where it may become a program, the innermost last."""
        self._last: dict[int, _Running] = {}
        """Whose texts come now."""

    def ran(self, record: Ran) -> Iterator[Command]:
        """A command begins, or waits to; its texts follow."""
        if record.shell >= len(SHELLS):
            raise FormatError(f"a command is of shell {record.shell}, which does not exist")
        self._last[record.pid] = command = _Running(record)
        if record.waits:
            self._forget(record.pid, record.sp)
            waiting = self._waiting.setdefault(record.pid, [])
            del waiting[:-MOST_NESTED]
            waiting.append(command)
            return
        yield from self._end(record.pid, record.sp + 1, None, None, "unknown")
        yield from self._begin(command)

    def _begin(self, command: _Running) -> Iterator[Command]:
        running = self._running.setdefault(command.ran.pid, [])
        if len(running) >= MOST_NESTED:
            yield self._command(running.pop(0), None, None, "unknown")
        running.append(command)

    def words(self, record: Words) -> Iterator[Command]:
        """A piece of a text of the process's last command; of a program, which begins with it."""
        text = record.text
        if text == _PROGRAM:
            text = _WORDS
            waiting = self._waiting.pop(record.pid, None)
            if waiting:
                self._last[record.pid] = program = waiting[-1]
                program.begun = record.time
                yield from self._begin(program)
        if (last := self._last.get(record.pid)) is not None:
            last.add(text, record)

    def finished(self, record: Finished) -> Iterator[Command]:
        """What lies below has ended."""
        self._forget(record.pid, record.sp - 1)
        return self._end(record.pid, record.sp, record.status & 0xFF, record.time, "done")

    def _forget(self, pid: int, sp: int) -> None:
        """The places up to this one on the stack have been left."""
        waiting = self._waiting.get(pid)
        while waiting and waiting[-1].ran.sp <= sp:
            waiting.pop()

    def left(self, record: Left) -> Iterator[Command]:
        """The process has ended, or runs another program: that is what its last command does then."""
        if record.replaced:
            for each in self._running.get(record.pid, ()):
                each.replaced = True
            return
        self._waiting.pop(record.pid, None)
        self._last.pop(record.pid, None)
        yield from self._end(record.pid, None, status_of(record.status), record.time, "exit")

    def finish(self) -> Iterator[Command]:
        """The capture ends."""
        for pid in tuple(self._running):
            yield from self._end(pid, None, None, None, "capture")

    def _end(
        self, pid: int, sp: int | None, status: int | None, time: int | None, how: str
    ) -> Iterator[Command]:
        """All that lie below `sp`, from the innermost; a stack that was there before exec tells nothing of another."""
        running = self._running.get(pid)
        while running and (sp is None or (running[-1].ran.sp < sp and not running[-1].replaced)):
            yield self._command(running.pop(), status, time, how)
        if not running:
            self._running.pop(pid, None)

    def _command(self, command: _Running, status: int | None, time: int | None, how: str) -> Command:
        ran = command.ran
        source, script, words = map(bytes, command.texts)
        argv = words.split(b"\0")
        if _WORDS not in command.cut:
            del argv[-1]  # behind the NUL of the last
        if SHELLS[ran.shell] == "zsh":
            argv = [unmetafied(word) for word in argv]
            ran = ran._replace(directory=unmetafied(ran.directory))
        return Command(
            command.begun,
            ran,
            source.rstrip(b"\0\n") or b" ".join(map(_quoted, argv)),
            self._user(ran.uid),
            status,
            time,
            "exec" if how == "exit" and command.replaced else how,
            bool(command.cut),
            argv=tuple(argv),
            script=script.rstrip(b"\0"),
        )


def _quoted(word: bytes) -> bytes:
    """A word as it could be typed."""
    return word if _PLAIN.fullmatch(word) else b"'" + word.replace(b"'", b"'\\''") + b"'"
