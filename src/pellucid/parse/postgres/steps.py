"""What was sent to a PostgreSQL server and waits for its answer."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from pellucid.parse.postgres.values import PostgresBound
from pellucid.parse.sql.command import (
    KEPT_TEXTS,
    MAX_PENDING,
    STATEMENT_COST,
    Command,
    SqlText,
    Statement,
    Statements,
)
from pellucid.parse.sql.frames import BrokenError

if TYPE_CHECKING:
    from pellucid.parse.limits import Limits
    from pellucid.parse.postgres.messages import Bind, Named, Parse
    from pellucid.parse.sql.kinds import PostgresKind

STEP_COST = 160
"""Bytes of a step, its command left out (145 measured)."""

MAX_PORTALS = 1024
"""Portals with a name that one transaction has open; drivers use those of a few cursors."""

_DROPS_ONE = re.compile(
    rb'\s*+deallocate\s++(?:prepare\s++)?(?:"([^"]++)"|(?!all\b)(\w++))\s*+(?:;\s*+)?\Z', re.IGNORECASE
)
_DROPS_MORE = re.compile(rb"\b(?:deallocate|discard|prepare)\b", re.IGNORECASE)

_WORDS: dict[str, PostgresKind] = {"B": "bind", "C": "close", "D": "describe", "S": "sync"}
"""What a step is called that is shown only because it failed."""


class Portal:
    """A statement with its values, ready to be executed."""

    __slots__ = ("began", "bound", "statement")

    def __init__(self, statement: Statement | None, bound: PostgresBound, began: int) -> None:
        self.statement = statement
        self.bound = bound
        self.began: int | None = began
        """When its Bind came, in nanoseconds since 1970; None once it was executed."""


class Step:
    """A message of the client that has an answer."""

    __slots__ = ("began", "command", "letter", "name", "portal", "previous", "returned", "statement")

    def __init__(self, letter: str, began: int, command: Command | None = None) -> None:
        self.letter = letter
        """As on the wire; `L` stands for the login."""
        self.began = began
        self.command = command
        self.name = b""
        """What it defines or closes."""
        self.statement: Statement | None = None
        self.previous: Statement | None = None
        """What had the name before."""
        self.portal: Portal | None = None
        self.returned = 0
        """Rows so far."""

    @property
    def is_group(self) -> bool:
        """ReadyForQuery ends it, and it is not skipped after an error."""
        return self.letter in "LQSF"

    @property
    def is_shown(self) -> bool:
        """It is a message of its own: a Parse without a name is part of the execution that it was sent for."""
        if self.letter == "P":
            return bool(self.name) or not (self.statement and self.statement.bound)
        return self.command is not None

    def serves(self, other: Step) -> bool:
        """Say whether it was sent for the sake of the execution `other`."""
        if other.letter != "E" or other.portal is None:
            return other is self
        if self.portal is not None:
            return other.portal is self.portal
        return self.statement is not None and other.portal.statement is self.statement

    def shown(self) -> Command:
        """Return what shows it, also where it is only shown because it failed."""
        if self.command is None:
            self.command = Command(_WORDS[self.letter], self.began)
            self.command.statement = self.portal.statement if self.portal else self.statement
            self.command.bound = self.portal.bound if self.portal else None
        return self.command


class Session:
    """What the client has told the server: names of statements and portals, and steps that wait for their answer."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_body
        self._statements = Statements(KEPT_TEXTS * limits.max_body)
        self._portals: dict[bytes, Portal] = {}
        self.steps: deque[Step] = deque()

    def wait(self, step: Step) -> None:
        """Queue a step. Raises `BrokenError` where too many wait."""
        self.steps.append(step)
        if len(self.steps) > MAX_PENDING:
            raise BrokenError(f"{MAX_PENDING} further commands")

    def query(self, step: Step, text: SqlText) -> None:
        """Take Query: it ends what has no name."""
        self._note_names(text)
        self._statements.drop(b"")
        self._portals.pop(b"", None)
        self.wait(step)

    def parse(self, step: Step, parse: Parse) -> None:
        """Take Parse: it names a statement."""
        self._note_names(parse.text)
        step.name = parse.name
        step.statement = Statement(parse.text, parse.types)
        step.previous = self._statements.drop(parse.name)
        self._statements.put(parse.name, step.statement)
        self.wait(step)

    def bind(self, step: Step, bind: Bind) -> None:
        """Take Bind: it makes a portal."""
        step.name = bind.portal
        step.statement = self._statements.get(bind.statement)
        if step.statement:
            step.statement.bound = True
        bound = PostgresBound(bind, step.statement, self._most)
        step.portal = self._portals[bind.portal] = Portal(step.statement, bound, step.began)
        if len(self._portals) > MAX_PORTALS:
            del self._portals[next(iter(self._portals))]
        self.wait(step)

    def describe(self, step: Step, named: Named) -> None:
        """Take Describe."""
        if named.portal:
            step.portal = self._portals.get(named.name)
        else:
            step.statement = self._statements.get(named.name)
        self.wait(step)

    def execute(self, step: Step, command: Command, portal: bytes) -> None:
        """Take Execute of a portal, which may be unknown: `DECLARE CURSOR` makes some too."""
        step.command = command
        step.portal = found = self._portals.get(portal)
        if found:
            command.statement = found.statement
            command.bound = found.bound
            command.began = step.began if found.began is None else found.began
            found.began = None
        self.wait(step)

    def close(self, step: Step, named: Named) -> None:
        """Take Close."""
        step.name = named.name
        if named.portal:
            self._portals.pop(named.name, None)
        else:
            step.previous = self._statements.drop(named.name)
        self.wait(step)

    def is_idle(self) -> None:
        """Learn that there is no transaction: no portal outlives it."""
        if not self.steps:
            self._portals.clear()

    def ignore_syncs(self) -> None:
        """Take out those that the server meets while the first step copies in."""
        while len(self.steps) > 1 and self.steps[1].letter == "S":
            del self.steps[1]

    def skip(self) -> list[Step]:
        """Take off the first step, which has failed, and all that the server skips for it: up to the next Sync."""
        skipped = []
        while self.steps and not self.steps[0].is_group:
            skipped.append(self.steps.popleft())
        for step in reversed(skipped):
            self._undo(step, failed=step is skipped[0])
        return skipped

    def _undo(self, step: Step, *, failed: bool) -> None:
        """Take back what it was thought to define."""
        if step.letter == "B" and self._portals.get(step.name) is step.portal:
            del self._portals[step.name]
        if step.letter in "PC" and self._statements.get(step.name) is step.statement:
            self._statements.drop(step.name)
            unnamed_is_gone = failed and not step.name  # a Parse begins by taking it away
            if step.previous and not unnamed_is_gone:
                self._statements.put(step.name, step.previous)

    def forget(self) -> None:
        """Know nothing any more."""
        self.steps.clear()
        self._statements.clear()
        self._portals.clear()

    @property
    def size(self) -> int:
        """Bytes of memory, commands that wait left out."""
        names = sum(map(len, self._portals)) + sum(len(step.name) for step in self.steps)
        objects = STEP_COST * (len(self._portals) + len(self.steps))
        return self._statements.size + names + objects + self._size_of_steps()

    def _size_of_steps(self) -> int:
        """Bytes of what only steps and portals know any more: a name was taken by something else since."""
        portals = {*self._portals.values(), *(step.portal for step in self.steps)} - {None}
        statements = {known for step in self.steps for known in (step.statement, step.previous)}
        statements |= {portal.statement for portal in portals if portal}
        bounds = {portal.bound for portal in portals if portal}
        bounds -= {step.command.bound for step in self.steps if step.command}
        return sum(STATEMENT_COST + known.size for known in statements - {*self._statements} if known) + sum(
            bound.kept + bound.cost + STEP_COST for bound in bounds
        )

    def _note_names(self, text: SqlText) -> None:
        """Forget statements whose names SQL itself gives or takes: the two ways share them."""
        one = _DROPS_ONE.match(text.kept)
        if one:
            self._statements.drop(one[1] or one[2].lower())
        elif len(text.kept) < text.size or _DROPS_MORE.search(text.kept):
            self._statements.clear()
