"""Protobuf read without a schema: by field number, as far as the bytes themselves tell.

The wire says the number and the wire type of each field (protobuf.dev/programming-guides/encoding), not what it means:

    VARINT            an unsigned integer; -1 is 18446744073709551615, and a zigzag `sint` stays as it is
    I64, I32          `{"fixed64": ..., "double": ...}`, `{"fixed32": ..., "float": ...}`: the same bytes, read both ways
    LEN               text where it is printable UTF-8, else a message where it can be read whole as one, else
                      `{"base64": ...}`; packed numbers are among these, for nothing tells them from bytes
    SGROUP ... EGROUP a message
    a field repeated  a list, all of it text or all of it messages where that is possible

Keys are field numbers as text. Each byte is looked at once for each level that it lies in.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64encode
from typing import Any

MAX_DEPTH = 40
"""Levels of messages in messages. Libraries refuse more than 100 of them; here each costs a look at its bytes."""

MAX_VALUES = 1 << 15
"""Values in one message, attempts to read them included: they take up to 300 bytes of memory each (`memory.SHOWN`)."""

_VARINT, _I64, _LEN, _GROUP, _END, _I32 = range(6)
_WIDTHS = {_I64: 8, _I32: 4}

_FIRST_TAG, _LAST_TAG = 1 << 3, (1 << 32) - 1
_RESERVED = range(19_000, 20_000)
"""Field numbers that no schema may use (protobuf.dev/programming-guides/proto3/#assigning)."""

_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_NO_TEXT = re.compile(_CONTROL)
_HARDLY_TEXT = re.compile(rf"\A[\t\n\r]|{_CONTROL}")
"""Text seldom begins with these three, and messages do: they are the tags of field 1."""

Fields = dict[str, Any]
_Range = tuple[int, int]
_Raw = dict[int, list[Any]]
"""By tag, which is the field's number and the wire type; of what has a length or a width, where it is."""


class _NotProtobufError(Exception):
    """The bytes are no message."""


class _EndsEarlyError(_NotProtobufError):
    """They are the beginning of one at most."""


class _TooManyError(Exception):
    """There are more than `MAX_VALUES`."""


def read_fields(data: bytes, *, cut: bool = False) -> Fields | None:
    """Read one message; None where the bytes are none, or where there are more than `MAX_VALUES` values.

    Where only the beginning is there (`cut`), a last field that is not whole is left out.
    """
    reader = _Reader(data)
    try:
        return reader.message(0, len(data), cut=cut)
    except (_NotProtobufError, _TooManyError):
        return None


class _Reader:
    """One message, and how many more values may be made of it."""

    __slots__ = ("_data", "_left")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_VALUES

    def message(self, at: int, end: int, depth: int = 0, *, cut: bool = False) -> Fields:
        """Read all bytes from `at` to `end` as fields."""
        fields: _Raw = {}
        try:
            while at < end:
                at = self._field(at, end, depth, fields)
                if at < 0:
                    raise _NotProtobufError  # the end of a group that has not begun
        except _EndsEarlyError:
            if not cut:
                raise
        return self._shown(fields, depth)

    def _group(self, at: int, end: int, depth: int, number: int) -> tuple[Fields, int]:
        """Read fields up to the end of group `number`; return them, and where the next one begins."""
        if depth >= MAX_DEPTH:
            raise _NotProtobufError
        fields: _Raw = {}
        while True:
            after = self._field(at, end, depth, fields)
            if after < 0:
                break
            at = after
        tag, after = self._varint(at, end)
        if tag >> 3 != number:
            raise _NotProtobufError
        return self._shown(fields, depth), after

    def _field(self, at: int, end: int, depth: int, fields: _Raw) -> int:
        """Read one field into `fields`; return where the next one begins, -1 where a group ends here."""
        tag, at = self._varint(at, end)
        if not _FIRST_TAG <= tag <= _LAST_TAG or tag >> 3 in _RESERVED:
            raise _NotProtobufError
        wire = tag & 7
        value: Any
        if wire == _VARINT:
            value, at = self._varint(at, end)
        elif wire == _LEN:
            size, at = self._varint(at, end)
            value = at, at + size
            at += size
        elif wire in _WIDTHS:
            value = at
            at += _WIDTHS[wire]
        elif wire == _GROUP:
            value, at = self._group(at, end, depth + 1, tag >> 3)
        elif wire == _END:
            return -1
        else:
            raise _NotProtobufError
        if at > end:
            raise _EndsEarlyError
        self._left -= 1
        if self._left < 0:
            raise _TooManyError
        fields.setdefault(tag, []).append(value)
        return at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """Read seven bits of each byte, the lowest first, as long as the eighth is set: 64 bits at most."""
        data = self._data
        if at < end and data[at] < 0x80:  # most are short
            return data[at], at + 1
        value = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >> 64:
                    raise _NotProtobufError
                return value, at
            shift += 7
            if shift > 63:
                raise _NotProtobufError
        raise _EndsEarlyError

    # --- what is shown of a field's values ----------------------------------------------------------

    def _shown(self, fields: _Raw, depth: int) -> Fields:
        shown: Fields = {}
        for tag, raw in fields.items():
            key = str(tag >> 3)
            if key in shown:
                raise _NotProtobufError  # one field has one wire type
            values = self._values(tag & 7, raw, depth)
            shown[key] = values[0] if len(values) == 1 else values
        return shown

    def _values(self, wire: int, raw: list[Any], depth: int) -> list[Any]:
        if wire == _LEN:
            return self._delimited(raw, depth)
        if wire == _I64:
            return [self._fixed64(at) for at in raw]
        if wire == _I32:
            return [self._fixed32(at) for at in raw]
        return raw

    def _fixed64(self, at: int) -> Fields:
        (whole,) = struct.unpack_from("<Q", self._data, at)
        (double,) = struct.unpack_from("<d", self._data, at)
        return {"fixed64": whole, "double": double if math.isfinite(double) else None}

    def _fixed32(self, at: int) -> Fields:
        (whole,) = struct.unpack_from("<I", self._data, at)
        (single,) = struct.unpack_from("<f", self._data, at)
        return {"fixed32": whole, "float": _shortest(single) if math.isfinite(single) else None}

    def _delimited(self, ranges: list[_Range], depth: int) -> list[Any]:
        texts = [self._text(at, end, _HARDLY_TEXT) for at, end in ranges]
        if None not in texts:
            return texts
        messages = self._messages(ranges, depth)
        if messages is not None:
            return messages
        return [self._text_or_base64(at, end) for at, end in ranges]

    def _text(self, at: int, end: int, excluded: re.Pattern[str]) -> str | None:
        try:
            text = self._data[at:end].decode()
        except UnicodeDecodeError:
            return None
        if text.isprintable():  # nothing that is excluded is: most text needs no search
            return text
        return None if excluded.search(text) else text

    def _text_or_base64(self, at: int, end: int) -> str | dict[str, str]:
        text = self._text(at, end, _NO_TEXT)
        return {"base64": b64encode(self._data[at:end]).decode()} if text is None else text

    def _messages(self, ranges: list[_Range], depth: int) -> list[Fields] | None:
        if depth >= MAX_DEPTH:
            return None
        try:
            return [self.message(at, end, depth + 1) for at, end in ranges]
        except _NotProtobufError:
            return None


def _shortest(single: float) -> float:
    """The number with the fewest digits that has the same 32 bits, as a person wrote it: 3.14; whole numbers as they are."""
    if single.is_integer():
        return single
    packed = struct.pack("<f", single)
    candidates = (float(f"{single:.{digits}g}") for digits in range(6, 9))
    return next((each for each in candidates if struct.pack("<f", each) == packed), single)
