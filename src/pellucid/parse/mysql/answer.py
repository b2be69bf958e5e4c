"""What a MySQL server answers to one command.

    a result:  OK | ERR | a request for a local file | columns, their definitions, [EOF], rows, EOF or OK
    prepared:  its number, definitions of parameters, [EOF], definitions of columns, [EOF]
    rows, fields, one packet of any kind, one OK

Whether there are EOF packets in brackets depends on the capabilities of both ends, and half of these are told
before TLS begins. So it is learned from what comes: an EOF packet cannot be mistaken for a row or a definition.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from pellucid.parse.mysql.packets import (
    EOF,
    ERR,
    LONGEST,
    NULL,
    OK,
    Reader,
    Status,
    is_definition,
    is_eof,
    read_error,
    read_ok,
)
from pellucid.parse.sql.frames import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse.mysql.values import MySqlStatement
    from pellucid.parse.sql.command import Command
    from pellucid.parse.sql.frames import Frame


class Dialect:
    """What is learned of a session; None is not known yet."""

    __slots__ = ("attributes", "eof")

    def __init__(self) -> None:
        self.eof: bool | None = None
        """EOF packets stand behind definitions."""
        self.attributes: bool | None = None
        """Attributes stand before the text of a query (CLIENT_QUERY_ATTRIBUTES)."""


class Style(enum.Enum):
    """How a command is answered."""

    OK = enum.auto()
    RESULT = enum.auto()
    PREPARED = enum.auto()
    ROWS = enum.auto()
    FIELDS = enum.auto()
    ONE = enum.auto()


class Answer:
    """The answer to `command`, as far as it came."""

    __slots__ = (
        "_dialect", "_groups", "_left", "_rows", "_take", "command", "expected", "number", "schema", "statement",
        "wants_file",
    )  # fmt: skip

    def __init__(
        self,
        command: Command,
        style: Style,
        dialect: Dialect,
        expected: int,
        statement: MySqlStatement | None = None,
    ) -> None:
        self.command = command
        self.expected = expected
        """Sequence number of the next packet."""
        self.statement = statement
        """What is being prepared."""
        self.number: int | None = None
        """The number that the server gives it."""
        self.wants_file = False
        """The client is to send a local file (LOAD DATA LOCAL); an empty packet ends it."""
        self.schema: str | None = None
        """The database that it changes to; empty is none."""
        self._dialect = dialect
        self._left = 0
        """Definitions that are to come."""
        self._groups: list[int] = []
        """Numbers of those of the groups behind them."""
        self._rows = 0
        self._take: Callable[[Frame], bool] = {
            Style.OK: self._ok,
            Style.RESULT: self._result,
            Style.PREPARED: self._prepared,
            Style.ROWS: self._row,
            Style.FIELDS: self._field,
            Style.ONE: self._one,
        }[style]

    def take(self, packet: Frame) -> bool:
        """Take the next packet; return whether it is the last. Raises `BrokenError`."""
        if not packet.payload:
            raise BrokenError("bytes were lost" if packet.lost else "an empty answer")
        if packet.payload[0] == ERR:
            return self._failed(packet)
        return self._take(packet)

    def file_sent(self, packet: Frame) -> None:
        """Take a packet of the local file."""
        self.expected = (packet.last + 1) % 256
        self.wants_file = packet.size > 0

    def _failed(self, packet: Frame) -> bool:
        failure = read_error(packet)
        self.command.failure = failure
        return failure is not None

    def _ok(self, packet: Frame) -> bool:
        if packet.payload[0] not in {OK, EOF}:
            raise BrokenError("an answer that does not fit its command")
        ok = read_ok(packet)
        if ok.schema is not None:
            self.schema = ok.schema
        if ok.rows is not None and packet.payload[0] == OK:
            self.command.add_rows(ok.rows)
        if Status.MORE_RESULTS in ok.status:
            self._take = self._result
            return False
        return True

    def _one(self, packet: Frame) -> bool:  # noqa: ARG002
        return True

    # --- results -------------------------------------------------------------------------------------

    def _result(self, packet: Frame) -> bool:
        first = packet.payload[0]
        if first == OK or (first == EOF and packet.size < 9):
            return self._ok(packet)
        if first == NULL:
            self.wants_file = True
            return False
        reader = Reader(packet.payload)
        self._left = reader.number()
        # MariaDB tells whether definitions follow, where the client may have them from before.
        follows = reader.integer(1) if reader.left == 1 else 1
        if reader.left or follows > 1 or not packet.whole:
            raise BrokenError("neither OK nor a number of columns")
        self._left *= follows
        self._rows = 0
        self._take = self._column if self._left else self._first_row
        return False

    def _column(self, packet: Frame) -> bool:
        if not is_definition(packet):
            raise BrokenError("no definition of a column")
        self._left -= 1
        if not self._left:
            self._take = self._first_row
        return False

    def _first_row(self, packet: Frame) -> bool:
        self._take = self._row
        self._dialect.eof = is_eof(packet)
        if not is_eof(packet):
            return self._row(packet)
        ok = read_ok(packet)
        return Status.CURSOR_EXISTS in ok.status  # then rows are fetched by further commands

    def _row(self, packet: Frame) -> bool:
        if packet.payload[0] == EOF and packet.size < LONGEST:  # a row begins so only with a value of 16 MiB
            self.command.add_rows(self._rows)
            return self._ok(packet)
        self._rows += 1
        return False

    # --- other answers -------------------------------------------------------------------------------

    def _prepared(self, packet: Frame) -> bool:
        if packet.payload[0] != OK or packet.size < 12 or not packet.whole:
            raise BrokenError("an answer that does not fit its command")
        reader = Reader(packet.payload[1:])
        self.number = reader.integer(4)
        columns, parameters = reader.integer(2), reader.integer(2)
        reader.take(3)
        follows = reader.integer(1) if reader.left else 1
        if self.statement:
            self.statement.count = parameters
        self._groups = [number for number in (parameters, columns) if number and follows]
        return self._next_group()

    def _next_group(self) -> bool:
        if not self._groups:
            return True
        self._left = self._groups.pop(0)
        self._take = self._definition
        return False

    def _definition(self, packet: Frame) -> bool:
        if not is_definition(packet):
            raise BrokenError("no definition")
        self._left -= 1
        if self._left:
            return False
        if self._dialect.eof is False or (self._dialect.eof is None and not self._groups):
            return self._next_group()  # an EOF may follow, where that is not known: `is_late_eof`
        self._take = self._behind_group
        return False

    def _behind_group(self, packet: Frame) -> bool:
        if is_eof(packet):
            self._dialect.eof = True
            return self._next_group()
        if self._dialect.eof:
            raise BrokenError("no EOF behind definitions")
        self._dialect.eof = False
        self._next_group()
        return self._definition(packet)

    def is_late_eof(self, packet: Frame) -> bool:
        """Say whether it is the EOF behind the last definition, of which it was not known that it comes."""
        late = self.number is not None and self._dialect.eof is None and is_eof(packet)
        return late and packet.type == self.expected

    def _field(self, packet: Frame) -> bool:
        if is_definition(packet):
            self._rows += 1
            return False
        self.command.add_rows(self._rows)
        return self._ok(packet)
