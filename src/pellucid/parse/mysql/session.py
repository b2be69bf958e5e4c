"""What a session of MySQL was told: statements that are prepared, values sent ahead, how queries are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.mysql.answer import Dialect
from pellucid.parse.mysql.packets import Can, Reader
from pellucid.parse.mysql.values import Execution, MySqlBound, MySqlBulk, MySqlStatement, after_attributes
from pellucid.parse.sql.command import KEPT_TEXTS, STATEMENT_COST, Command, SqlText, Statement, Statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.parse.limits import Limits
    from pellucid.parse.sql.frames import Frame

_LAST_PREPARED = 0xFFFFFFFF
"""MariaDB's number for the statement whose preparation was sent last, and may not be answered yet."""

_FIRST_OF_TEXT = 9
"""No text begins with a control character below it: what does is a number of attributes."""

_EXECUTE_FIELDS = 10
"""Bytes before the values of COM_STMT_EXECUTE: command, statement, flags, a count that is always one."""

_LONG_FIELDS = 7
"""Bytes before the piece of COM_STMT_SEND_LONG_DATA: command, statement, parameter."""

_BULK_FIELDS = 7
"""Bytes before those of COM_STMT_BULK_EXECUTE: command, statement, flags."""


class Session:
    """One session."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_body
        self._statements = Statements(KEPT_TEXTS * limits.max_body)
        self._prepared: MySqlStatement | None = None
        """The statement whose preparation was sent last."""
        self.dialect = Dialect()

    def begin(self, can: Can) -> None:
        """Learn what the client can: what it cannot is not done; what it can, if the server can too."""
        self.dialect.eof = None if Can.DEPRECATE_EOF in can else True
        self.dialect.attributes = None if Can.QUERY_ATTRIBUTES in can else False

    def text(self, packet: Frame) -> SqlText:
        """Return the text of COM_QUERY, without attributes."""
        payload = packet.payload[1:]
        if self.dialect.attributes is None and payload:
            self.dialect.attributes = payload[0] < _FIRST_OF_TEXT
        start = after_attributes(payload) if self.dialect.attributes else 0
        return SqlText(payload[start:], packet.size - 1 - start, packet.lost).cut(self._most)

    def prepare(self, text: SqlText) -> MySqlStatement:
        """Begin to prepare a statement; of its text so much is kept as may be."""
        self._prepared = MySqlStatement(text.cut(self._most))
        return self._prepared

    def prepared(self, number: int, statement: MySqlStatement | None) -> None:
        """Learn the number that the server gives it."""
        if statement:
            self._statements.put(number, statement)

    def statement(self, packet: Frame) -> MySqlStatement | None:
        """Return the statement that a command names; None where its preparation was not seen."""
        number = Reader(packet.payload[1:5]).integer(4)
        if number == _LAST_PREPARED:
            return self._prepared
        statement = self._statements.get(number)
        assert statement is None or isinstance(statement, MySqlStatement)
        return statement

    def execute(self, command: Command, packet: Frame) -> None:
        """Take COM_STMT_EXECUTE: the values that came ahead are used up."""
        statement = self.statement(packet)
        reader = Reader(packet.payload[5:])
        flags, _ = reader.integer(1), reader.integer(4)
        command.statement = statement
        ahead = statement.ahead.take() if statement else {}
        execution = Execution(
            flags, reader.rest(), packet.size - _EXECUTE_FIELDS, self.dialect.attributes, ahead
        )
        command.bound = MySqlBound(execution, statement, self._most)

    def execute_bulk(self, command: Command, packet: Frame) -> None:
        """Take MariaDB's COM_STMT_BULK_EXECUTE."""
        command.statement = statement = self.statement(packet)
        reader = Reader(packet.payload[5:])
        flags = reader.integer(2)
        execution = Execution(flags, reader.rest(), packet.size - _BULK_FIELDS, attributes=False, long={})
        command.bound = MySqlBulk(execution, statement, self._most)

    def long_data(self, packet: Frame) -> None:
        """Take COM_STMT_SEND_LONG_DATA: a piece of a value. One of no parameter fails later, in the execution."""
        statement = self.statement(packet)
        reader = Reader(packet.payload[5:])
        at = reader.integer(2)
        if statement and (statement.count is None or at < statement.count):
            statement.ahead.add(at, reader.rest(), packet.size - _LONG_FIELDS, self._most)

    def reset(self, packet: Frame) -> MySqlStatement | None:
        """Take COM_STMT_RESET."""
        statement = self.statement(packet)
        if statement:
            statement.ahead.clear()
        return statement

    def close(self, packet: Frame) -> MySqlStatement | None:
        """Take COM_STMT_CLOSE."""
        statement = self.statement(packet)
        self._statements.drop(Reader(packet.payload[1:5]).integer(4))
        return statement

    def forget(self) -> None:
        """Know no statement any more."""
        self._statements.clear()
        self._prepared = None

    def size(self, used: Iterable[Statement | None]) -> int:
        """Bytes of memory, those of statements included that are `used`, but may be closed by now."""
        closed = {self._prepared, *used} - {*self._statements}
        return self._statements.size + sum(STATEMENT_COST + known.size for known in closed if known)
