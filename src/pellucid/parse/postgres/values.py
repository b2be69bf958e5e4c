"""Values bound to PostgreSQL's parameters, as text or binary (the `*send` and `*recv` functions of the server)."""

from __future__ import annotations

import math
import struct
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from pellucid.parse.postgres.messages import Bind, Reader
from pellucid.parse.sql.command import Bound, base64_value, double_value, single_value, text_value
from pellucid.parse.sql.frames import BrokenError
from pellucid.parse.text import readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse.sql.command import Statement

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INFINITE = {0x7FFFFFFF: "infinity", -0x80000000: "-infinity", 0x7FFFFFFFFFFFFFFF: "infinity",
             -0x8000000000000000: "-infinity"}  # fmt: skip
_MAX_ZEROS = 1000
"""Digits of a numeric that are written without having been sent, on either side: what a column can be declared to have
(NUMERIC_MAX_PRECISION of numeric.h). Ten bytes may stand for 131,072."""
_MAX_DIMENSIONS = 6
"""MAXDIM of src/include/utils/array.h."""


class PostgresBound(Bound):
    """The values of a Bind."""

    __slots__ = ("_bind", "_statement")

    def __init__(self, bind: Bind, statement: Statement | None, most: int) -> None:
        self._bind = bind
        self._statement = statement
        self.shorten(most)

    @property
    def kept(self) -> int:
        """Bytes that are kept of them."""
        return len(self._bind.values)

    @property
    def cost(self) -> int:
        """Bytes of their formats."""
        return 2 * len(self._bind.formats)

    def shorten(self, most: int) -> None:
        """Keep the first `most` bytes."""
        if len(self._bind.values) > most:
            self._bind = self._bind._replace(values=self._bind.values[:most])

    def show(self) -> tuple[list[Any] | UnsetType, bool]:
        """Return them as far as they are there."""
        if not self._bind.number:
            return UNSET, False
        types = self._statement.types if self._statement else ()
        reader = Reader(self._bind.values)
        shown: list[Any] = []
        try:
            for at in range(self._bind.number):
                size = reader.size()
                if size > reader.left:
                    shown.append(self._beginning(reader.rest(), binary=self._is_binary(at)))
                    return shown, True
                oid = types[at] if at < len(types) else 0
                shown.append(
                    None if size < 0 else self._value(reader.take(size), oid, binary=self._is_binary(at))
                )
        except BrokenError:  # the end is cut
            return shown, True
        return shown, False

    def _is_binary(self, at: int) -> bool:
        formats = self._bind.formats
        if len(formats) > 1:
            return at < len(formats) and formats[at] == 1
        return bool(formats) and formats[0] == 1

    def _beginning(self, value: bytes, *, binary: bool) -> Any:
        """Show what is there of a value; a last character of which only the beginning is there is left out."""
        text, encoding = readable(value, cut=True)
        return base64_value(value) if binary or encoding else text

    def _value(self, value: bytes, oid: int, *, binary: bool) -> Any:
        return binary_value(value, oid) if binary else text_value(value)


def binary_value(value: bytes, oid: int) -> Any:
    """Read a value by its type's OID (pg_type.dat); as base64 where that type is not read here or does not fit."""
    read = _READERS.get(oid)
    if read is None:
        return base64_value(value)
    try:
        return read(value)
    except (ValueError, OverflowError, struct.error):
        return base64_value(value)


def _unpacked(format: str) -> Callable[[bytes], Any]:
    reader = struct.Struct(format)
    return lambda value: reader.unpack(value)[0]


def _double(value: bytes) -> float | str:
    return double_value(struct.unpack("!d", value)[0])


def _single(value: bytes) -> float | str:
    return single_value(struct.unpack("!f", value)[0])


def _jsonb(value: bytes) -> Any:
    if value[:1] != b"\1":
        raise ValueError("a version of jsonb that is not known")
    return text_value(value[1:])


def _uuid(value: bytes) -> str:
    return str(uuid.UUID(bytes=value))


def _date(value: bytes) -> str:
    (days,) = struct.unpack("!i", value)
    return _INFINITE.get(days) or (date(2000, 1, 1) + timedelta(days)).isoformat()


def _time(value: bytes) -> str:
    (microseconds,) = struct.unpack("!q", value)
    if not 0 <= microseconds < 86_400_000_000:
        raise ValueError("no time of a day")
    return (_EPOCH + timedelta(microseconds=microseconds)).time().isoformat()


def _timestamp(value: bytes) -> str:
    return _moment(value).replace("+00:00", "")


def _moment(value: bytes) -> str:
    (microseconds,) = struct.unpack("!q", value)
    return _INFINITE.get(microseconds) or (_EPOCH + timedelta(microseconds=microseconds)).isoformat(" ")


def _numeric(value: bytes) -> str:
    """Write the digits out: they come in groups of four, the first of which counts 10,000 ** weight."""
    count, weight, sign, scale = struct.unpack_from("!HhHH", value)
    if sign in _NUMERIC_WORDS:
        return _NUMERIC_WORDS[sign]
    groups = struct.unpack(f"!{count}H", value[8:])
    if sign not in {0, 0x4000} or any(group > 9999 for group in groups):
        raise ValueError("no numeric")
    sent = 4 * count
    if max(4 * (weight + 1), -4 * weight, scale) > sent + _MAX_ZEROS:
        raise ValueError("a numeric that is nearly all zeros")
    whole = max(weight + 1, 0)
    digits = "".join(f"{groups[at]:04}" if at < count else "0000" for at in range(whole)).lstrip("0") or "0"
    after = "0000" * max(-weight - 1, 0) + "".join(f"{group:04}" for group in groups[whole:])
    fraction = after[:scale].ljust(scale, "0")
    return ("-" if sign else "") + digits + (f".{fraction}" if scale else "")


_NUMERIC_WORDS = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}


def _array(value: bytes) -> Any:
    """Read an array: dimensions, whether there are NULLs, the elements' OID, extents, then the elements in rows."""
    reader = Reader(value)
    try:
        dimensions, _, oid = reader.long(), reader.long(), reader.long()
        if dimensions > _MAX_DIMENSIONS or oid in _ARRAYS:  # arrays of arrays are dimensions
            raise ValueError("no array")
        extents = [(reader.long(), reader.long())[0] for _ in range(dimensions)]
        if math.prod(extents) > len(value) // 4 or 0 in extents:
            raise ValueError("more elements than bytes")
        shown = _elements(reader, oid, extents)
        if reader.rest():
            raise ValueError("bytes behind an array")
    except BrokenError as error:
        raise ValueError("an array that is cut") from error
    return shown


def _elements(reader: Reader, oid: int, extents: list[int]) -> list[Any]:
    if not extents:
        return []
    first, *others = extents
    shown: list[Any] = []
    for _ in range(first):
        if others:
            shown.append(_elements(reader, oid, others))
            continue
        size = reader.size()
        shown.append(None if size < 0 else binary_value(reader.take(size), oid))
    return shown


_TEXT_TYPES = (18, 19, 25, 114, 142, 705, 1042, 1043)
"""char, name, text, json, xml, unknown, bpchar, varchar."""

_ARRAYS = (1000, 1001, 1002, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 1115, 1182, 1183, 1185, 1231,
           199, 143, 2951, 3807)  # fmt: skip
"""Of the types that are read here, and of bytea; an array says itself of which."""

_READERS: dict[int, Callable[[bytes], Any]] = {
    16: _unpacked("!?"),
    20: _unpacked("!q"),
    21: _unpacked("!h"),
    23: _unpacked("!i"),
    26: _unpacked("!I"),
    700: _single,
    701: _double,
    1082: _date,
    1083: _time,
    1114: _timestamp,
    1184: _moment,
    1700: _numeric,
    2950: _uuid,
    3802: _jsonb,
    **dict.fromkeys(_TEXT_TYPES, text_value),
    **dict.fromkeys(_ARRAYS, _array),
}
