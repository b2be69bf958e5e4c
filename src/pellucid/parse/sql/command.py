"""What the parsers of database protocols share: a command, its statement, and the message that they become."""

from __future__ import annotations

import base64
import codecs
import math
import re
import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType

from pellucid.model import Query, QueryError
from pellucid.parse.raw import who
from pellucid.parse.sql.frames import BrokenError
from pellucid.parse.times import milliseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.model import Connection
    from pellucid.parse.sql.kinds import Kind

COMMAND_COST = 640
"""Bytes of the objects that stand for one command that waits for its answer (MySQL: 600 measured)."""

STATEMENT_COST = 448
"""Bytes of a prepared statement and its place in a table, its name, text and types left out (430 measured)."""

_TYPE_COST = 4
"""Bytes of the type of a parameter: they are kept in an `array`."""

MAX_PENDING = 16 * 1024
"""Commands of one connection that wait for their answer: asyncpg's executemany and libpq's pipeline mode send
thousands before they read. `Limits.max_pending` is for protocols whose requests wait one by one."""

MAX_STATEMENTS = 16 * 1024
"""Prepared statements that are remembered for one connection: MySQL's max_prepared_stmt_count is 16,382."""

_MOST_ROWS = (1 << 64) - 1
"""What the outputs can write: JSON libraries read no larger integer."""

KEPT_TEXTS = 4
"""Texts of statements that are remembered for one connection, in units of `Limits.max_body`."""

_WORDS = (
    b"ABORT|ALTER|ANALYZE|BEGIN|CALL|CHECKPOINT|CLOSE|CLUSTER|COMMENT|COMMIT|COPY|CREATE|DEALLOCATE|DECLARE|DELETE|"
    b"DESC|DESCRIBE|DISCARD|DO|DROP|END|EXECUTE|EXPLAIN|FETCH|FLUSH|GRANT|HANDLER|INSERT|KILL|LISTEN|LOAD|LOCK|"
    b"MERGE|MOVE|NOTIFY|OPTIMIZE|PREPARE|REFRESH|REINDEX|RELEASE|RENAME|REPLACE|RESET|REVOKE|ROLLBACK|SAVEPOINT|"
    b"SELECT|SET|SHOW|START|TABLE|TRUNCATE|UNLISTEN|UNLOCK|UPDATE|USE|VACUUM|VALUES|WITH|XA"
)
_SINGLE = struct.Struct("<f")

_COMMENTS = rb"(?>(?:\s|\(|--[^\n\x00]*\n|#[^\n\x00]*\n|/\*[^\x00]*?\*/)*)"
"""Atomic, so that no text makes matching slow."""
_STATEMENT = re.compile(rb"%b(?:%b)(?:[\s;(/*'\"`\x00-]|\Z)" % (_COMMENTS, _WORDS), re.IGNORECASE)
_MAY_BEGIN = re.compile(rb"%b(?:[A-Za-z]{0,10}|--[^\n\x00]*|#[^\n\x00]*|/\*?[^\x00]*|-)\Z" % _COMMENTS)


def begins_statement(text: bytes) -> bool:
    """Say whether this is how a statement of SQL begins, behind comments."""
    return _STATEMENT.match(text) is not None


def may_begin_statement(text: bytes) -> bool:
    """Say whether it may, with more bytes."""
    return _MAY_BEGIN.match(text) is not None


class SqlText(NamedTuple):
    """The text of a command."""

    kept: bytes
    size: int
    """Bytes of all of it."""
    lost: int = 0
    """How many of them are missing; none that follows one is kept."""

    def cut(self, most: int) -> SqlText:
        """Keep the first `most` bytes."""
        return self if len(self.kept) <= most else self._replace(kept=self.kept[:most])

    def shown(self) -> tuple[str, str | None]:
        """Return it as it is read, and what is wrong with it."""
        lost = f"{self.lost} bytes of the text were lost" if self.lost else None
        try:
            text, _ = codecs.utf_8_decode(self.kept, "strict", len(self.kept) == self.size)
        except UnicodeDecodeError:
            return self.kept.decode(
                errors="backslashreplace"
            ), "the text is not UTF-8: other bytes are written \\xNN"
        return text, lost


class Bound(ABC):
    """The values bound to a statement, as sent: they are read when they are shown, by then their types are known."""

    @property
    @abstractmethod
    def kept(self) -> int:
        """Bytes that are kept of them."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """Bytes of memory besides, which are kept with values that are shortened."""

    @abstractmethod
    def shorten(self, most: int) -> None:
        """Keep the first `most` bytes."""

    @abstractmethod
    def show(self) -> tuple[list[Any] | UnsetType, bool]:
        """Return the values, unset where they cannot be told apart, and whether some of them are cut or left out."""


class Statement:
    """A prepared statement."""

    __slots__ = ("bound", "count", "text", "types")

    def __init__(self, text: SqlText | None, types: Sequence[int] = ()) -> None:
        self.text = text
        """None where it is not known."""
        self.types = types
        """Of its parameters, as far as they are known: numbers of the protocol."""
        self.count: int | None = None
        """Of its parameters; None while the server has not said."""
        self.bound = False
        """Values were bound to it."""

    @property
    def size(self) -> int:
        """Bytes of memory above `STATEMENT_COST`."""
        return (len(self.text.kept) if self.text else 0) + _TYPE_COST * len(self.types)


class Command:
    """One command as it is sent, and what becomes of it. Times are in nanoseconds since 1970, UTC."""

    __slots__ = (
        "began", "bound", "database", "ended", "failure", "kind", "problems", "rows", "statement", "text", "user",
    )  # fmt: skip

    def __init__(self, kind: Kind, began: int, text: SqlText | None = None) -> None:
        self.kind: Kind = kind
        self.began = began
        self.ended: int | None = None
        """None while, or where, there is no answer."""
        self.text = text
        self.statement: Statement | None = None
        """Whose text it is, where that was sent before."""
        self.bound: Bound | None = None
        self.user: str | None = None
        self.database: str | None = None
        self.rows: int | None = None
        self.failure: QueryError | None = None
        self.problems: list[str] = []

    def add_rows(self, rows: int) -> None:
        """Add what one of its results returned or changed. Raises `BrokenError` where that is too much to be true."""
        total = rows + (self.rows or 0)
        if total > _MOST_ROWS:
            raise BrokenError("more rows than can be counted")
        self.rows = total

    @property
    def kept(self) -> int:
        """Bytes of its own text and values, which wait to be shown."""
        return (len(self.text.kept) if self.text else 0) + (self.bound.kept if self.bound else 0)

    @property
    def cost(self) -> int:
        """Bytes of memory besides."""
        return COMMAND_COST + (self.bound.cost if self.bound else 0)

    def shorten(self, most: int) -> None:
        """Keep so many of them."""
        if self.text:
            self.text = self.text.cut(most)
            most = max(0, most - len(self.text.kept))
        if self.bound:
            self.bound.shorten(most)

    def message(self, connection: Connection, server: str) -> Query:
        """Make the message of what is known by now."""
        text = self.statement.text if self.statement else self.text
        shown, problem = text.shown() if text else (None, None)
        values, cut = self.bound.show() if self.bound else (UNSET, False)
        problems = [*self.problems, problem] if problem else self.problems
        return Query(
            ts=rfc3339(self.began),
            server=server,
            user=self.user,
            database=self.database,
            kind=self.kind,
            query=shown,
            parameters=values,
            rows=self.rows,
            duration_ms=None if self.ended is None else milliseconds(self.ended - self.began),
            truncated=cut or (text is not None and len(text.kept) < text.size),
            failure=self.failure,
            error="; ".join(problems) or None,
            **who(connection),
        )


def base64_value(data: bytes) -> dict[str, str]:
    """Show a value whose bytes have no text."""
    return {"base64": base64.b64encode(data).decode("ascii")}


def text_value(data: bytes) -> str | dict[str, str]:
    """Show a value as text where it is UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64_value(data)


def double_value(number: float) -> float | str:
    """Show a number; JSON has no word for those that are none."""
    return number if math.isfinite(number) else str(number)


def single_value(number: float) -> float | str:
    """Show a number of 32 bits with the fewest digits that tell it apart from its neighbours (at most nine)."""
    if not math.isfinite(number):
        return str(number)
    return next(
        shown
        for digits in (6, 7, 8, 9)
        if _single(shown := float(f"{number:.{digits}g}")) == number or digits == 9
    )


def _single(number: float) -> float:
    try:
        return float(_SINGLE.unpack(_SINGLE.pack(number))[0])
    except OverflowError:  # rounded up beyond the largest one
        return math.inf


class Statements:
    """Prepared statements of one session by their name or number: the youngest, within bounds of number and size."""

    def __init__(self, most: int) -> None:
        self._most = most
        """Bytes of names, texts and types that are kept, of all together."""
        self._known: dict[Any, tuple[Statement, int]] = {}
        """Each with the bytes that it counts for."""
        self._size = 0

    def get(self, key: Any) -> Statement | None:
        """Return it, None where it is not known."""
        known = self._known.get(key)
        return known[0] if known else None

    def put(self, key: Any, statement: Statement) -> None:
        """Remember it instead of the one before; forget the oldest where that is too much."""
        self.drop(key)
        size = _key_size(key) + statement.size
        self._known[key] = statement, size
        self._size += size
        while self._size > self._most or len(self._known) > MAX_STATEMENTS:
            self.drop(next(iter(self._known)))

    def drop(self, key: Any) -> Statement | None:
        """Forget it; return what was forgotten."""
        statement, size = self._known.pop(key, (None, 0))
        self._size -= size
        return statement

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._size = 0

    def __iter__(self) -> Iterator[Statement]:
        return (statement for statement, _ in self._known.values())

    @property
    def size(self) -> int:
        """Bytes of memory that they take, with what was learned of them since they were put here."""
        return sum(_key_size(key) + STATEMENT_COST + known.size for key, (known, _) in self._known.items())


def _key_size(key: Any) -> int:
    return len(key) if isinstance(key, bytes) else 0
