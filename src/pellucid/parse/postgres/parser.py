"""PostgreSQL's protocol, versions 3.0 and 3.2 (the manual, "Frontend/Backend Protocol").

The server answers in order, so what waits is a queue of steps, one for each message that has an answer:

    Query ----------> [results, error] ReadyForQuery
    Parse, Bind, ---> one answer each, or an error: then the server skips everything up to the next Sync
    Describe, Execute, Close
    Sync -----------> ReadyForQuery

A `query` message comes of each Query (rows: of all its statements together), each Execute, and each Parse, except where
its statement has no name and is bound before the server has answered: then it is part of the `execute`. A failure
of Parse, Bind or Describe belongs to the Execute that it was sent for, where that was sent already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pellucid.parse.postgres import messages
from pellucid.parse.postgres.messages import judge_command, judge_password, judge_startup
from pellucid.parse.postgres.steps import STEP_COST, Session, Step
from pellucid.parse.protocol import Verdict
from pellucid.parse.sql.command import STATEMENT_COST, Command, SqlText
from pellucid.parse.sql.frames import BrokenError, Header
from pellucid.parse.sql.protocol import KEEP_ANSWER, Beginning, SqlProtocol, best

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pellucid.model import Connection, Direction, QueryError
    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits
    from pellucid.parse.sql.frames import Frame
    from pellucid.parse.sql.kinds import PostgresKind

_IDLE = re.compile(rb"Z\x00\x00\x00\x05[ITE]\Z")
"""ReadyForQuery as the last thing that was sent."""

_NO_DATABASE = {"true", "on", "yes", "1"}
"""Values of the parameter `replication` with which a connection has no database."""

_SECURED = {b"S", b"N", b"G"}
"""Answers to SSLRequest and GSSENCRequest."""

_COMPLETES = {"1": "P", "2": "B", "3": "C", "n": "D"}


class Postgres(SqlProtocol):
    """The parser."""

    server = "postgres"
    idle = _IDLE

    @classmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:  # noqa: ARG003  # the bytes tell enough
        """Say yes to a startup message, to a password, and to a command whose content leaves no doubt."""
        return best(judge(head) for judge in (judge_startup, judge_command, judge_password))

    judge_command = staticmethod(judge_command)
    judge_password = staticmethod(judge_password)

    def __init__(
        self, connection: Connection, limits: Limits, budget: Budget, direction: Direction, head: bytes
    ) -> None:
        super().__init__(connection, limits, budget, direction, head)
        self._beginning = not self._seeking
        """The client has not said its version yet: its messages have no letter."""
        self._asked = False
        """SSLRequest or GSSENCRequest was sent: one byte is the answer."""
        self._copying = False
        """An Execute has begun to copy in: until the data ends, the server ignores Sync."""
        self._session = Session(limits)

    @staticmethod
    def _begins_with(head: bytes) -> Beginning:
        return Beginning(from_client=True, known=judge_startup(head) is Verdict.YES)

    def _client_header(self, data: bytes | bytearray, at: int) -> Header | None:
        if self._beginning:
            return messages.startup_header(data, at, self._keep)
        return messages.client_header(data, at, self._keep)

    def _server_header(self, data: bytes | bytearray, at: int) -> Header | None:
        if self._asked and data[at : at + 1] in _SECURED:
            return Header(1, data[at], 0, 0) if at < len(data) else None
        return messages.server_header(data, at, KEEP_ANSWER)

    # --- what the client sends -----------------------------------------------------------------------

    def _sent(self, frame: Frame) -> None:
        take = self._SENT.get(chr(frame.type))
        self._budget.charge(STEP_COST)
        if self._beginning:
            self._begins(frame)
        elif take:
            take(self, frame)

    def _begins(self, frame: Frame) -> None:
        code = messages.read_code(frame.payload)
        if code in {messages.SSL, messages.GSS}:
            self._asked = True
        elif code == messages.CANCEL:
            self._show(self._begin(Command("cancel", frame.began)))
        elif code >> 16 == messages.MAJOR:
            self._log_in(frame)
        else:
            raise BrokenError("a version of the protocol other than 3")

    def _log_in(self, frame: Frame) -> None:
        parameters = messages.read_startup(frame.payload)
        self._beginning = False
        self._secret = True
        self._user = parameters.get("user")
        replicates = parameters.get("replication") in _NO_DATABASE
        self._database = None if replicates else parameters.get("database") or self._user
        self._session.wait(self._step("L", frame, "connect"))

    def _query(self, frame: Frame) -> None:
        text = messages.read_text(frame, self._limits.max_body)
        self._session.query(self._step("Q", frame, "query", text), text)

    def _parse(self, frame: Frame) -> None:
        parse = messages.read_parse(frame, self._limits.max_body)
        self._budget.charge(STATEMENT_COST)
        self._session.parse(self._step("P", frame, "prepare", parse.text), parse)

    def _bind(self, frame: Frame) -> None:
        self._session.bind(Step("B", frame.began), messages.read_bind(frame.payload))

    def _describe(self, frame: Frame) -> None:
        self._session.describe(Step("D", frame.began), messages.read_named(frame.payload))

    def _execute(self, frame: Frame) -> None:
        command = self._command("execute", frame)
        self._session.execute(Step("E", frame.began), command, messages.read_portal(frame.payload))

    def _close(self, frame: Frame) -> None:
        self._session.close(Step("C", frame.began), messages.read_named(frame.payload))

    def _sync(self, frame: Frame) -> None:
        if not self._copying:
            self._session.wait(Step("S", frame.began))

    def _call(self, frame: Frame) -> None:
        self._session.wait(self._step("F", frame, "function"))

    def _copied(self, frame: Frame) -> None:  # noqa: ARG002
        self._copying = False

    def _password(self, frame: Frame) -> None:  # noqa: ARG002  # it is never shown
        if not self._secret:
            raise BrokenError("a password that nobody asked for")

    def _terminate(self, frame: Frame) -> None:
        self._show(self._command("terminate", frame))

    def _step(self, letter: str, frame: Frame, kind: PostgresKind, text: SqlText | None = None) -> Step:
        return Step(letter, frame.began, self._command(kind, frame, text))

    def _command(self, kind: PostgresKind, frame: Frame, text: SqlText | None = None) -> Command:
        command = self._begin(Command(kind, frame.began, text))
        if frame.lost and text is None:
            command.problems.append(f"{frame.lost} bytes of the command were lost")
        return command

    # --- what the server answers ---------------------------------------------------------------------

    def _answered(self, frame: Frame) -> None:
        asked, self._asked = self._asked, False
        if asked and bytes([frame.type]) in _SECURED:
            return
        letter = chr(frame.type)
        if frame.lost and letter not in "Dd":
            raise BrokenError("bytes were lost")
        take = self._ANSWERED.get(letter)
        if take:
            take(self, frame)

    def _head(self, letters: str) -> Step:
        """Return the step that is being answered."""
        step = self._session.steps[0] if self._session.steps else None
        if step is None or step.letter not in letters:
            raise BrokenError("an answer that does not fit what was sent")
        return step

    def _end_step(self, frame: Frame) -> None:
        step = self._session.steps.popleft()
        if step.command and step.is_shown:
            step.command.ended = frame.ended
            self._show(step.command)

    def _authentication(self, frame: Frame) -> None:  # noqa: ARG002  # passwords are never shown
        self._head("L")

    def _ready(self, frame: Frame) -> None:
        if self._head("LQSF").letter == "L":
            self._secret = False
        self._end_step(frame)
        if frame.payload == b"I":
            self._session.is_idle()

    def _complete(self, frame: Frame) -> None:
        """Take ParseComplete ('1'), BindComplete ('2'), CloseComplete ('3') or NoData ('n')."""
        self._head(_COMPLETES[chr(frame.type)])
        self._end_step(frame)

    def _types(self, frame: Frame) -> None:
        step = self._head("D")
        if step.statement and frame.whole:
            step.statement.types = messages.read_types(frame.payload)

    def _columns(self, frame: Frame) -> None:
        if self._head("DQ").letter == "D":
            self._end_step(frame)

    def _row(self, frame: Frame) -> None:  # noqa: ARG002
        self._head("EQ").returned += 1

    def _result(self, frame: Frame) -> None:
        """Take CommandComplete ('C') or EmptyQueryResponse ('I')."""
        step = self._head("EQ")
        rows = messages.read_rows(frame.payload) if chr(frame.type) == "C" else None
        if rows is not None:
            step.shown().add_rows(rows)
        if step.letter == "E":
            self._end_step(frame)

    def _suspended(self, frame: Frame) -> None:
        step = self._head("E")
        step.shown().rows = step.returned
        self._end_step(frame)

    def _copies(self, frame: Frame) -> None:
        """Take CopyInResponse ('G'), CopyOutResponse ('H') or CopyBothResponse ('W')."""
        step = self._head("EQ")
        step.shown().kind = "replication" if chr(frame.type) == "W" else "copy"
        if step.letter == "E" and chr(frame.type) != "H":
            self._copying = True
            self._session.ignore_syncs()

    def _copy_data(self, frame: Frame) -> None:  # noqa: ARG002
        if self._head("EQ").shown().kind not in {"copy", "replication"}:
            raise BrokenError("data of a copy that nobody asked for")

    def _called(self, frame: Frame) -> None:  # noqa: ARG002
        self._head("F")

    # --- errors --------------------------------------------------------------------------------------

    def _error(self, frame: Frame) -> None:
        failure = messages.read_error(frame.payload)
        self._copying = False
        step = self._session.steps[0] if self._session.steps else None
        if step is None:  # it ends the connection: a shutdown, an idle session
            self._fail(Command("error", frame.began), failure, frame)
        elif step.letter in "QF":  # ReadyForQuery follows
            step.shown().failure = failure
        elif step.letter == "S":  # what was executed before cannot be committed
            self._fail(step.shown(), failure, frame)
            step.command = None
        elif step.letter == "L":
            self._session.steps.popleft()
            self._fail(step.shown(), failure, frame)
        else:
            self._skip(failure, frame)

    def _skip(self, failure: QueryError, frame: Frame) -> None:
        """Show what the failure is of, and what is not done for it: the server does nothing before the next Sync."""
        failed, *others = self._session.skip()
        at_fault = next((step for step in others if failed.serves(step)), failed)
        for step in [failed, *others]:
            if step is at_fault:
                self._fail(step.shown(), failure, frame)
            elif step is not failed and step.command and step.is_shown:
                step.command.problems.append("not done: what was sent before it failed")
                self._show(step.command)

    def _fail(self, command: Command, failure: QueryError, frame: Frame) -> None:
        command.user, command.database = self._user, self._database
        command.failure = failure
        command.ended = frame.ended
        self._show(command)

    # --- the contract --------------------------------------------------------------------------------

    def _pending(self) -> Sequence[Command]:
        return [step.command for step in self._session.steps if step.command and step.is_shown]

    def _forget(self) -> None:
        self._session.forget()
        self._beginning = self._asked = self._copying = False

    def _remembered(self) -> int:
        return self._session.size

    _SENT: ClassVar[dict[str, Callable[[Postgres, Frame], None]]] = {
        "Q": _query,
        "P": _parse,
        "B": _bind,
        "D": _describe,
        "E": _execute,
        "C": _close,
        "S": _sync,
        "F": _call,
        "X": _terminate,
        "p": _password,
        "c": _copied,
        "f": _copied,
    }
    """Flush ('H') has no answer, and data of COPY ('d') is not read."""

    _ANSWERED: ClassVar[dict[str, Callable[[Postgres, Frame], None]]] = {
        "R": _authentication,
        "Z": _ready,
        "1": _complete,
        "2": _complete,
        "3": _complete,
        "n": _complete,
        "t": _types,
        "T": _columns,
        "D": _row,
        "C": _result,
        "I": _result,
        "s": _suspended,
        "G": _copies,
        "H": _copies,
        "W": _copies,
        "d": _copy_data,
        "c": _copy_data,
        "V": _called,
        "E": _error,
    }
    """Notices, notifications, settings, keys and versions (N A S K v) may come at any time, and answer nothing."""
