"""Commands as shells run them: words as they come, and how each ended.

A process has a stack of them: below a function lie the commands that it consists of. One that was left otherwise than by
its own return (`return` in a function, a lost record) ends with the one that it lies below. A text is of the command that
began last in its process and has the same place on the stack; another one is nobody's: the command's own record was lost.
"""

from __future__ import annotations

import re
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from pellucid.errors import FormatError
from pellucid.join.held import SHORT, Held
from pellucid.join.metafied import is_metafied, unmetafied
from pellucid.join.shells import status_of
from pellucid.model import SHELLS, TEXTS, Command, Finished, Left, Ran, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN = re.compile(rb"[\w@%+=:,./\x80-\xff-]+")

MOST_BYTES = 1 << 20
"""Kept of each text of a command; the kernel sends as much."""

MOST_SHOWN = 15 << 20
"""Bytes that the words of a command may take while they are shown, about what `memory.SHOWN` leaves for any message: some 110,000 short
ones."""

_MOST_WORDS = MOST_SHOWN // 112
"""No more than can be affordable are taken apart."""

_TEXT, _RAW = 132, 300
"""What a word takes then beside its bytes, twice: as text, and where it is none and becomes an object with base64."""

_SCRIPT, _WORDS, _PROGRAM, _TRIED = map(TEXTS.index, ("script", "words", "program", "tried"))


class _Running:
    """A command that has not ended, or waits to begin."""

    __slots__ = ("_most", "begun", "missing", "program", "ran", "replaced", "texts", "tried")

    def __init__(self, ran: Ran) -> None:
        directory, script = ran.directory, b""
        if ran.script_at:
            directory, script = directory[: ran.script_at], directory[ran.script_at :]
        self.ran = ran._replace(directory=directory)
        self.begun = ran.time
        self.texts = tuple(bytearray() for _ in TEXTS[:_PROGRAM])
        self.texts[_SCRIPT].extend(script)
        self.missing = {_WORDS}
        """The texts of which the end has not come; without words there would be none."""
        self.program = False
        """Its words are those of a program, as the kernel has them."""
        self.tried = False
        """It has the words of a program that the process was to become, and has not become so far."""
        self.replaced = False
        self._most = MOST_BYTES

    def add(self, text: int, record: Words) -> None:
        """A piece of one of its texts."""
        kept = self.texts[text]
        room = max(self._most - len(kept), 0)
        kept += record.bytes[:room]
        if record.last and not record.open and len(record.bytes) <= room:
            self.missing.discard(text)
        else:
            self.missing.add(text)

    def forget_words(self) -> None:
        """Others come."""
        self.texts[_WORDS].clear()
        self.missing.add(_WORDS)
        self.tried = False

    def size(self) -> int:
        """As `Kept` says."""
        return sum(map(len, self.texts)) + len(self.ran.directory)

    def cut(self) -> None:
        """As `Kept` says."""
        self._most = SHORT
        for text, kept in enumerate(self.texts):
            if len(kept) > SHORT:
                self.texts[text][:] = kept[:SHORT]
                self.missing.add(text)


class Runs:
    """What shells run. Each method takes what its name says, and yields the commands that end with it.

    `user` is the name of a uid, None where it has none; `most` bytes are kept.
    """

    def __init__(self, user: Callable[[int], str | None], most: int) -> None:
        self._user = user
        self._running: dict[int, list[_Running]] = {}
        self._waiting: dict[int, list[_Running]] = {}
        """Places in each shell's code where it may become a program, the innermost last."""
        self._last: dict[int, _Running] = {}
        """Whose texts come now."""
        self._held: Held[_Running] = Held(most)
        self.given_up = 0
        """Commands, and places where one may begin, for which there was no room."""

    def ran(self, record: Ran) -> Iterator[Command]:
        """A command begins, or waits to; its texts follow."""
        if record.shell >= len(SHELLS):
            raise FormatError(f"a command is of shell {record.shell}, which does not exist")
        yield from self._outlived(record)
        command = _Running(record)
        if record.waits:
            self._forget(record.pid, record.sp)
            self._waiting.setdefault(record.pid, []).append(command)
        else:
            yield from self._end(record.pid, record.sp + 1, None, None, "unknown")
            self._running.setdefault(record.pid, []).append(command)
        self._last[record.pid] = command
        yield from self._keep(command)

    def _outlived(self, record: Ran) -> Iterator[Command]:
        """What an earlier process of the same number ran, whose end was lost."""
        pid = record.pid
        if any(
            stacks[pid][0].ran.start != record.start
            for stacks in (self._running, self._waiting)
            if stacks.get(pid)
        ):
            self._forget(pid, None)
            yield from self._end(pid, None, None, None, "unknown")

    def _keep(self, command: _Running) -> Iterator[Command]:
        self._held.keep(command)
        while oldest := self._held.too_many():
            self.given_up += 1
            pid = oldest.ran.pid
            begun = oldest in self._running.get(pid, ())
            stacks = self._running if begun else self._waiting
            stacks[pid].remove(oldest)
            if not stacks[pid]:
                del stacks[pid]
            self._drop(oldest)
            if begun:
                yield self._command(oldest, None, None, "unknown")

    def words(self, record: Words) -> Iterator[Command]:
        """A piece of a text of the process's last command; of a program, which begins with it."""
        last = self._last.get(record.pid)
        text = record.text
        if text == _TRIED:
            text = _WORDS
            last = last if last and last.tried else self._try(record)
        elif text == _PROGRAM:
            text = _WORDS
            last = last if last and last.program else self._program(record)
        elif last and last.ran.sp != record.sp:
            last = None
        if last is None:
            return
        last.add(text, record)
        if record.last and text == _WORDS:
            del self._last[record.pid]
        yield from self._keep(last)

    def _program(self, record: Words) -> _Running | None:
        """What begins when the process becomes a program; None where that it may was lost."""
        waiting = self._waiting.get(record.pid)
        if not waiting:
            return None
        program = waiting.pop()
        self._forget(record.pid, None)
        if program.tried:  # a script's words have those of its interpreter before them now
            program.forget_words()
        program.begun, program.program = record.time, True
        self._running.setdefault(record.pid, []).append(program)
        self._last[record.pid] = program
        return program

    def _try(self, record: Words) -> _Running | None:
        """What begins if the process becomes a program, and what has failed if it ends; None where that was lost."""
        waiting = self._waiting.get(record.pid)
        if not waiting:
            return None
        tried = waiting[-1]
        tried.begun, tried.program, tried.tried = record.time, True, True
        self._last[record.pid] = tried
        return tried

    def finished(self, record: Finished) -> Iterator[Command]:
        """What lies below has ended."""
        self._forget(record.pid, record.sp - 1)
        return self._end(record.pid, record.sp, record.status & 0xFF, record.time, "done")

    def _forget(self, pid: int, sp: int | None) -> None:
        """The places up to this one on the stack have been left; None: all of them."""
        waiting = self._waiting.get(pid)
        while waiting and (sp is None or waiting[-1].ran.sp <= sp):
            self._drop(waiting.pop())
        if not waiting:
            self._waiting.pop(pid, None)

    def left(self, record: Left) -> Iterator[Command]:
        """The process has ended, or runs another program: that is what its last command does then."""
        if record.replaced:
            self._last.pop(record.pid, None)
            for each in self._running.get(record.pid, ()):
                each.replaced = True
            return
        failed = [each for each in self._waiting.get(record.pid, ()) if each.tried]
        for each in failed:
            self._waiting[record.pid].remove(each)
        self._forget(record.pid, None)
        status = status_of(record.status)
        yield from self._end(record.pid, None, status, record.time, "exit")
        for each in failed:
            yield self._command(each, status, record.time, "exit")

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

    def _drop(self, command: _Running) -> None:
        self._held.forget(command)
        if self._last.get(command.ran.pid) is command:
            del self._last[command.ran.pid]

    def _command(self, command: _Running, status: int | None, time: int | None, how: str) -> Command:
        self._drop(command)
        ran = command.ran
        source, script, words = map(bytes, command.texts)
        argv = words.removesuffix(b"\0").split(b"\0", _MOST_WORDS) if words else []
        whole = len(argv)
        del argv[min(_affordable(argv), _MOST_WORDS) :]
        truncated = bool(command.missing) or len(argv) < whole
        if is_metafied(ran.shell):
            argv = argv if command.program else [unmetafied(word) for word in argv]
            ran, script = ran._replace(directory=unmetafied(ran.directory)), unmetafied(script)
        return Command(
            command.begun,
            ran,
            source.rstrip(b"\0\n") or b" ".join(map(_quoted, argv)),
            self._user(ran.uid),
            status,
            time,
            "exec" if how == "exit" and command.replaced else how,
            truncated,
            argv=tuple(argv),
            script=script.rstrip(b"\0"),
        )


def _affordable(argv: list[bytes]) -> int:
    """How many of the words may be shown."""
    if len(argv) <= MOST_SHOWN // (4 * _RAW):
        return len(argv)  # they are no more than 1 MiB in all
    taken = accumulate((_TEXT if word.isascii() else _RAW) + 2 * len(word) for word in argv)
    return sum(1 for _ in takewhile(MOST_SHOWN.__ge__, taken))


def _quoted(word: bytes) -> bytes:
    """A word as it could be typed."""
    return word if _PLAIN.fullmatch(word) else b"'" + word.replace(b"'", b"'\\''") + b"'"
