"""Lines of shells become commands, each with how it ended.

asked for a first line --Line--> PENDING --Prompted, not for more--> a command that is done
                                  |  ^ |
                 Prompted for more+--+ +--Left, or the end of the capture--> one without a next prompt
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.errors import FormatError
from pellucid.join.held import SHORT, Held
from pellucid.join.metafied import is_metafied, unmetafied
from pellucid.model import LINES, SHELLS, Command, Left, Line, Prompted, Typed, Users, Words

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1 << 20
"""Kept of one command, however many lines it has; the kernel sends as much of one line."""


class _Pending:
    """A command that has not ended."""

    __slots__ = (
        "_most", "begins", "expansion", "given_up", "line", "open", "text", "time", "truncated", "typed",
    )  # fmt: skip

    def __init__(self, line: Line) -> None:
        self.begins = 0
        """Where its last line does in the text."""
        self.expansion = bytearray()
        """Of its last line, as far as it has come."""
        self.typed: bytearray | None = None
        """The text without history expansion, where that has changed it."""
        self.line = line
        self.time = line.time
        self.text = bytearray()
        self.open = False
        """More pieces of its last line follow."""
        self.given_up = False
        self.truncated = False
        self._most = MOST_BYTES

    def add(self, text: bytes) -> None:
        """Keep more text, up to the limit."""
        room = max(self._most - len(self.text), 0)
        self.text += text[:room]
        if self.typed is not None:
            self.typed += text[: max(self._most - len(self.typed), 0)]
        self.truncated |= len(text) > room

    def size(self) -> int:
        """As `Kept` says."""
        return len(self.text) + len(self.typed or b"") + len(self.expansion) + len(self.line.directory)

    def cut(self) -> None:
        """As `Kept` says."""
        self._most = SHORT
        for text in (self.text, self.typed, self.expansion):
            if text is not None and len(text) > SHORT:
                del text[SHORT:]
                self.truncated = True

    def as_typed(self) -> bytes | None:
        """The text before history expansion, where that has changed it."""
        if self.typed is None or self.typed == self.text:
            return None
        return bytes(self.typed).rstrip(b"\n")

    def more_expansion(self, text: bytes) -> None:
        """A piece of what its last line is after history expansion."""
        room = max(self._most - len(self.expansion), 0)
        self.expansion += text[:room]
        self.truncated |= len(text) > room

    def expand(self) -> None:
        """Its last line, or in zsh all of it, is what has come of that; nothing where it does not run."""
        text = self.expansion.rstrip(b"\0\n")
        self.given_up = not self.expansion
        if self.expansion:
            if self.typed is None and self.text:
                self.typed = self.text[:]
            if is_metafied(self.line.shell):
                self.begins = 0
            del self.text[self.begins :]
            self.text += text
        self.expansion.clear()


class Shells:
    """The shells of a capture. Each method takes what its name says, and yields the commands that end with it.

    `most` bytes are kept.
    """

    def __init__(self, most: int) -> None:
        self._pending: dict[int, _Pending] = {}
        self._held: Held[_Pending] = Held(most)
        self.given_up = 0
        """Commands for which there was no room."""
        self._names: dict[int, str] = {}

    def user(self, uid: int) -> str | None:
        """The name of a user, None where it has none."""
        return self._names.get(uid)

    def users(self, users: Users) -> Iterator[Command]:
        """The names of users."""
        self._names.update(users.names)
        return iter(())

    def prompted(self, record: Prompted) -> Iterator[Command]:
        """The shell is ready for the next command."""
        if not record.more:
            yield from self._end(record.pid, record.status, record.time, "done")

    def line(self, record: Line) -> Iterator[Command]:
        """Somebody has pressed Enter, or given up."""
        if record.kind >= len(LINES) or record.shell >= len(SHELLS):
            raise FormatError(
                f"a line of shell {record.shell} is of kind {record.kind}, which does not exist"
            )
        kind = LINES[record.kind]
        if kind in {"first", "earlier"}:
            yield from self._end(record.pid, None, None, "unknown")
        pending = self._pending.setdefault(record.pid, _Pending(record))
        if pending.text:
            pending.add(b"\n")
        pending.begins = len(pending.text)
        pending.line, pending.time, pending.open = record, record.time, kind != "given up"
        pending.given_up = kind == "given up"
        yield from self._keep(pending)

    def _keep(self, pending: _Pending) -> Iterator[Command]:
        self._held.keep(pending)
        while oldest := self._held.too_many():
            self.given_up += 1
            yield from self._end(oldest.line.pid, None, None, "unknown")

    def typed(self, record: Typed) -> Iterator[Command]:
        """The text of that line."""
        pending = self._pending.get(record.pid)
        if pending is not None:
            text = record.bytes
            if record.last and is_metafied(pending.line.shell):
                text = text.removesuffix(b"\n")  # bash's line has none
            pending.add(text)
            pending.open = not record.last
            yield from self._keep(pending)

    def expanded(self, record: Words) -> Iterator[Command]:
        """What that line is after history expansion; nothing where it does not run."""
        pending = self._pending.get(record.pid)
        if pending is not None:
            pending.more_expansion(record.bytes)
            if record.last:
                pending.open = False
                pending.expand()
            yield from self._keep(pending)

    def left(self, record: Left) -> Iterator[Command]:
        """The shell is no more."""
        if record.replaced:
            yield from self._end(record.pid, None, None, "exec")
        else:
            yield from self._end(record.pid, status_of(record.status), record.time, "exit")

    def finish(self) -> Iterator[Command]:
        """The capture ends."""
        for pid in tuple(self._pending):
            yield from self._end(pid, None, None, "capture")

    def _end(self, pid: int, status: int | None, ended: int | None, how: str) -> Iterator[Command]:
        pending = self._pending.pop(pid, None)
        if pending is None:
            return
        self._held.forget(pending)
        text = bytes(pending.text).rstrip(b"\n")
        typed = pending.as_typed()
        line = pending.line
        if is_metafied(line.shell):
            text, line = unmetafied(text), line._replace(directory=unmetafied(line.directory))
            typed = typed and unmetafied(typed)
        if not text.strip() and not pending.truncated:
            return  # an empty line is no command
        how = "interrupted" if pending.given_up and how == "done" else how
        truncated = pending.truncated or pending.open
        yield Command(pending.time, line, text, self.user(line.uid), status, ended, how, truncated, typed)


def status_of(waited: int) -> int:
    """What a shell calls the end of a program: 128 and the signal's number where one has ended it (wait(2))."""
    signal = waited & 0x7F
    return 128 + signal if signal else waited >> 8 & 0xFF
