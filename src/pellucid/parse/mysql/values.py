"""Values bound to the parameters of MySQL's prepared statements, in the binary protocol."""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType

from pellucid.parse.budget import GROWTH
from pellucid.parse.mysql.packets import Reader
from pellucid.parse.sql.command import (
    Bound,
    SqlText,
    Statement,
    base64_value,
    double_value,
    single_value,
    text_value,
)
from pellucid.parse.sql.frames import BrokenError
from pellucid.parse.text import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_UNSIGNED = 0x8000
_SEND_TYPES = 0x80
"""Flag of MariaDB's COM_STMT_BULK_EXECUTE: types come first."""

_INDICATORS = {1: None, 2: {"indicator": "default"}, 3: {"indicator": "ignore"}}
"""What MariaDB's bulk execution has in place of a value (`enum_indicator_type`)."""


AHEAD_COST = 240
"""Bytes of a value that came ahead, its own left out: two places in tables, a buffer (145 measured, more while the tables grow)."""


class Ahead:
    """Values that come ahead of their execution, in pieces (COM_STMT_SEND_LONG_DATA)."""

    __slots__ = ("_kept", "_sizes", "_values")

    def __init__(self) -> None:
        self._values: dict[int, bytearray] = {}
        """By parameter; of each its first bytes."""
        self._sizes: dict[int, int] = {}
        """Bytes of all of them."""
        self._kept = 0

    def add(self, at: int, piece: bytes, size: int, most: int) -> None:
        """Take a piece of `size` bytes, of which `piece` came; keep `most` bytes of all values."""
        value = self._values.setdefault(at, bytearray())
        before = self._sizes.get(at, 0)
        self._sizes[at] = before + size
        if len(value) == before:  # nothing is missing yet
            kept = piece[: most - self._kept]
            value += kept
            self._kept += len(kept)

    def take(self) -> dict[int, SqlText]:
        """Return them by parameter; they are used up."""
        taken = {at: SqlText(bytes(value), self._sizes[at]) for at, value in self._values.items()}
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget them."""
        self._values, self._sizes, self._kept = {}, {}, 0

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return AHEAD_COST * len(self._values) + (self._kept * GROWTH >> 3)


class MySqlStatement(Statement):
    """A prepared statement."""

    __slots__ = ("ahead",)

    def __init__(self, text: SqlText | None) -> None:
        super().__init__(text)
        self.ahead = Ahead()
        """Values of its next execution."""

    @property
    def size(self) -> int:
        """Bytes of memory above `STATEMENT_COST`."""
        return super().size + self.ahead.size


class Execution(NamedTuple):
    """What COM_STMT_EXECUTE carries besides the statement."""

    flags: int
    values: bytes
    size: int
    """Bytes of all of them."""
    attributes: bool | None
    """The session has query attributes; None where that is not known."""
    long: Mapping[int, SqlText]
    """Values that came ahead, by parameter."""


class MySqlBound(Bound):
    """The values of an execution."""

    __slots__ = ("_execution", "_statement")

    def __init__(self, execution: Execution, statement: Statement | None, most: int) -> None:
        self._execution = execution
        self._statement = statement
        self.shorten(most)

    @property
    def kept(self) -> int:
        """Bytes that are kept of them."""
        return len(self._execution.values) + sum(len(value.kept) for value in self._execution.long.values())

    @property
    def cost(self) -> int:
        """Bytes of the objects that values which came ahead are."""
        return AHEAD_COST * len(self._execution.long)

    def shorten(self, most: int) -> None:
        """Keep the first `most` bytes; values that came ahead are those that go first."""
        values = self._execution.values[:most]
        most -= len(values)
        long = {}
        for at, value in self._execution.long.items():
            long[at] = value.cut(max(most, 0))
            most -= len(value.kept)
        self._execution = self._execution._replace(values=values, long=long)

    def show(self) -> tuple[list[Any] | UnsetType, bool]:
        """Return them; unset where the statement's preparation was not seen, or they cannot be told apart."""
        count = self._statement.count if self._statement else None
        if self._statement is None or not count:
            return UNSET, False
        attributes = self._execution.attributes
        tries = [attributes] if attributes is not None else [False, True]
        read = [each for each in (self._read(count, with_attributes) for with_attributes in tries) if each]
        if len(read) != 1:
            self._statement.types = ()  # new ones may have come
            return UNSET, not self._whole
        ((types, values, cut),) = read
        self._statement.types = types
        long_cut = any(len(value.kept) < value.size for value in self._execution.long.values())
        return values[:count], cut or long_cut

    @property
    def _whole(self) -> bool:
        return len(self._execution.values) == self._execution.size

    def _read(self, count: int, attributes: bool) -> tuple[Sequence[int], list[Any], bool] | None:
        """Read types and values, and whether they are cut; None where they do not add up."""
        assert self._statement
        execution = self._execution
        reader = Reader(execution.values)
        try:
            total = reader.number() if attributes else count
            if total < count:
                return None
            nulls = reader.take((total + 7) // 8)
            types = _read_types(reader, total, self._statement.types, names=attributes)
        except BrokenError:
            return None
        values: list[Any] = []
        cut = False
        try:
            for at in range(total):
                if nulls[at // 8] >> at % 8 & 1:
                    values.append(None)
                elif at in execution.long:
                    values.append(_beginning(execution.long[at].kept))
                else:
                    cut = _read_value(reader, types[at], values, whole=self._whole)
                if cut:
                    break
        except BrokenError:
            return None
        return None if self._whole and reader.left else (types, values, cut)


class MySqlBulk(MySqlBound):
    """The rows of values of MariaDB's bulk execution, each shown as a list."""

    __slots__ = ()

    def show(self) -> tuple[list[Any] | UnsetType, bool]:
        """Return the rows that are whole."""
        count = self._statement.count if self._statement else None
        if self._statement is None or not count:
            return UNSET, False
        reader = Reader(self._execution.values)
        rows: list[Any] = []
        try:
            if self._execution.flags & _SEND_TYPES:
                self._statement.types = array("H", (reader.integer(2) for _ in range(count)))
            if len(self._statement.types) < count:
                return UNSET, False
            while reader.left:
                rows.append([_read_indicated(reader, kind) for kind in self._statement.types[:count]])
        except BrokenError:
            return (UNSET, False) if self._whole else (rows, True)
        return rows, False


def after_attributes(payload: bytes) -> int:
    """Return where the text of COM_QUERY begins behind its attributes, which are not shown."""
    reader = Reader(payload)
    count, sets = reader.number(), reader.number()
    if sets != 1:
        raise BrokenError("more than one set of attributes")
    if count:
        nulls = reader.take((count + 7) // 8)
        types = _read_types(reader, count, (), names=True)
        for at, kind in enumerate(types):
            if not nulls[at // 8] >> at % 8 & 1:
                _read_value(reader, kind, [], whole=True)
    return len(payload) - reader.left


def _read_types(reader: Reader, count: int, known: Sequence[int], *, names: bool) -> Sequence[int]:
    """Read the types that come with the first execution, and are remembered for those that follow."""
    sent = reader.integer(1)
    if sent > 1:
        raise BrokenError("neither new types nor old ones")
    if sent:
        types = array("H")
        for _ in range(count):
            types.append(reader.integer(2))
            if names:
                reader.counted()
        known = types
    if len(known) < count:
        raise BrokenError("values of unknown types")
    return known


def _read_indicated(reader: Reader, kind: int) -> Any:
    indicator = reader.integer(1)
    if indicator:
        if indicator not in _INDICATORS:
            raise BrokenError("an unknown indicator")
        return _INDICATORS[indicator]
    values: list[Any] = []
    _read_value(reader, kind, values, whole=True)
    return values[0]


def _read_value(reader: Reader, kind: int, values: list[Any], *, whole: bool) -> bool:
    """Add the next value; return whether it, and all that follows, is cut."""
    read = _FIXED.get(kind & 0xFF)
    if read is None and kind & 0xFF not in _COUNTED:
        raise BrokenError("a value of an unknown type")
    try:
        if read:
            values.append(read(reader, unsigned=bool(kind & _UNSIGNED)))
            return False
        size = reader.number()
        if size > reader.left and not whole:
            values.append(_beginning(reader.rest()))
            return True
        values.append(text_value(reader.take(size)))
    except BrokenError:
        if whole:
            raise
        return True
    return False


def _beginning(value: bytes) -> str | dict[str, str]:
    """Show what is there of a value; a last character of which only the beginning is there is left out."""
    text, encoding = readable(value, cut=True)
    return base64_value(value) if encoding or isinstance(text, bytes) else text


def _integer(size: int) -> Callable[..., Any]:
    def read(reader: Reader, *, unsigned: bool) -> int:
        return int.from_bytes(reader.take(size), "little", signed=not unsigned)

    return read


def _single(reader: Reader, *, unsigned: bool) -> float | str:  # noqa: ARG001
    return single_value(struct.unpack("<f", reader.take(4))[0])


def _double(reader: Reader, *, unsigned: bool) -> float | str:  # noqa: ARG001
    return double_value(struct.unpack("<d", reader.take(8))[0])


def _null(reader: Reader, *, unsigned: bool) -> None:  # noqa: ARG001
    return None


def _date(reader: Reader, *, unsigned: bool) -> str:  # noqa: ARG001
    """Read a date of 0 or 4 bytes, with the time 7, with microseconds 11."""
    field = Reader(reader.take(reader.integer(1)))
    if field.left not in {0, 4, 7, 11}:
        raise BrokenError("no date")
    if not field.left:
        return "0000-00-00"
    text = f"{field.integer(2):04}-{field.integer(1):02}-{field.integer(1):02}"
    if not field.left:
        return text
    text += f" {field.integer(1):02}:{field.integer(1):02}:{field.integer(1):02}"
    return f"{text}.{field.integer(4):06}" if field.left else text


def _time(reader: Reader, *, unsigned: bool) -> str:  # noqa: ARG001
    """Read a duration of 0 or 8 bytes, with microseconds 12; days are shown as hours, as SQL does."""
    field = Reader(reader.take(reader.integer(1)))
    if field.left not in {0, 8, 12}:
        raise BrokenError("no time")
    if not field.left:
        return "00:00:00"
    sign = "-" if field.integer(1) else ""
    hours = field.integer(4) * 24 + field.integer(1)
    text = f"{sign}{hours:02}:{field.integer(1):02}:{field.integer(1):02}"
    return f"{text}.{field.integer(4):06}" if field.left else text


_FIXED: dict[int, Callable[..., Any]] = {
    1: _integer(1),
    2: _integer(2),
    13: _integer(2),
    3: _integer(4),
    9: _integer(4),
    8: _integer(8),
    4: _single,
    5: _double,
    6: _null,
    7: _date,
    10: _date,
    12: _date,
    11: _time,
}
"""By `enum_field_types`: TINY, SHORT, YEAR, LONG, INT24, LONGLONG, FLOAT, DOUBLE, NULL, TIMESTAMP, DATE, DATETIME, TIME."""

_COUNTED = frozenset({0, 15, 16, 242, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255})
"""Those that have their length before them: DECIMAL, VARCHAR, BIT, VECTOR, JSON, NEWDECIMAL, ENUM, SET, BLOBs, strings,
GEOMETRY."""
