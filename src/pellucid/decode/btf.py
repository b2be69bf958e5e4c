"""The types of a BPF object, read from its raw `.BTF` section (kernel Documentation/bpf/btf.rst).

Only two questions are asked of it: how a record is laid out, and where the variables of a section are.
A blob may come from a recording, that is from anybody: whatever is wrong with it is a `FormatError`.
"""

from __future__ import annotations

import enum
import itertools
import re
from struct import Struct as Format
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = 0xEB9F
_VERSION = 1
_HEADER = Format("<HBBIIIII")  # magic, version, flags, hdr_len, type_off, type_len, str_off, str_len
_TYPE = Format("<III")  # name_off, info, size or type

_MAX_DEPTH = 32
"""Typedefs, dimensions or structs inside each other: libbpf's and the kernel's own limit."""
_MAX_MEMBERS = 1024
"""Flattened fields of one record: structs that repeat structs would otherwise grow without bound."""

_CROSSES = re.compile(r"(?:[us](?:8|16|32|64)|char)(?:\[\d*\])?")


class _Kind(enum.IntEnum):
    """BTF_KIND_* of linux/btf.h."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_ALIASES = {_Kind.TYPEDEF, _Kind.VOLATILE, _Kind.CONST, _Kind.RESTRICT, _Kind.TYPE_TAG}

# What follows a type's twelve bytes, by kind: exactly one of these ...
_ONE = {
    _Kind.INT: Format("<I"),  # encoding, offset and bits
    _Kind.ARRAY: Format("<III"),  # element type, index type, count
    _Kind.VAR: Format("<I"),  # linkage
    _Kind.DECL_TAG: Format("<i"),  # component index
}
# ... or as many as the type's `vlen` says.
_MANY = {
    _Kind.STRUCT: Format("<III"),  # name, type, offset in bits
    _Kind.UNION: Format("<III"),
    _Kind.ENUM: Format("<Ii"),  # name, value
    _Kind.ENUM64: Format("<III"),  # name, low and high half of the value
    _Kind.FUNC_PROTO: Format("<II"),  # name, type
    _Kind.DATASEC: Format("<III"),  # variable, offset, size
}


class _Type(NamedTuple):
    """One `struct btf_type` with what follows it."""

    kind: _Kind
    flag: bool
    """`kind_flag`: bit-field sizes are in the offsets (struct), or the values are signed (enum)."""
    name: str
    value: int
    """`size` in bytes, or the id of the `type` referred to, as the kind has it."""
    entries: list[tuple[int, ...]]


class Member(NamedTuple):
    """One field of a struct, reached through any structs it lies in."""

    name: str
    """Its own name, without those of the structs around it."""
    spec: str
    """`u8` ... `u64`, `s8` ... `s64`, `char`, or an array of one: `char[16]`; `u8[]` is a flexible array."""
    offset: int
    """Bytes from the start of the outermost struct."""


class Struct(NamedTuple):
    """A C struct whose fields can be read one after the other."""

    id: int
    """What `bpf_core_type_id_local(struct name)` is in this object."""
    name: str
    size: int
    """`sizeof`, in bytes."""
    members: tuple[Member, ...]


class Variable(NamedTuple):
    """A global variable's place in its section, in bytes."""

    offset: int
    size: int
    spec: str
    """As `Member.spec`; for types that no record may hold, the kind and its name: `struct point`."""


class Btf:
    """One object's types.

    Raises `FormatError` for a blob that is cut short, big-endian, or not BTF version 1.
    """

    def __init__(self, raw: bytes) -> None:
        [(magic, version, _, header, type_at, type_size, string_at, string_size)] = _read(_HEADER, raw, 0)
        if (magic, version) != (_MAGIC, _VERSION) or header < _HEADER.size:
            raise FormatError(f"not little-endian BTF version 1: it begins with {raw[:8].hex(' ')}")
        self._strings = _section(raw, header + string_at, string_size)
        self._types = [_Type(_Kind.VOID, flag=False, name="", value=0, entries=[])]
        self._types.extend(self._walk(_section(raw, header + type_at, type_size)))

    def struct(self, name: str) -> Struct | None:
        """`struct name` with its members flattened; None where the object does not have it.

        Raises `FormatError`, naming struct and field, where a field is none that may cross from the
        kernel (pointer, union, bit-field, floating point, array of anything but integers).
        """
        ids = [id for id, type in enumerate(self._types) if type.kind is _Kind.STRUCT and type.name == name]
        if not ids:
            return None
        if len(ids) > 1:  # objects linked into one; which of them is meant cannot be known
            raise FormatError(f"struct {name} is defined {len(ids)} times in one BPF object")
        found = self._types[ids[0]]
        members = tuple(itertools.islice(self._flatten(found, f"struct {name}: field "), _MAX_MEMBERS + 1))
        if len(members) > _MAX_MEMBERS:
            raise FormatError(f"struct {name} has more than {_MAX_MEMBERS} fields")
        return Struct(ids[0], name, found.value, members)

    def variables(self, section: str) -> dict[str, Variable]:
        """The variables of a data section such as `.rodata`, by name; empty where there is no such section.

        Offsets are right only in BTF that libbpf has opened (`btf__raw_data`): in an ELF file as clang
        leaves it they are still relocations.
        """
        return {
            self._type(id).name: Variable(offset, size, self._spec(self._type(id).value))
            for type in self._types
            if (type.kind, type.name) == (_Kind.DATASEC, section)
            for id, offset, size in type.entries
            if self._type(id).kind is _Kind.VAR
        }

    def _walk(self, section: bytes) -> Iterator[_Type]:
        """Every type in id order, from 1."""
        at = 0
        while at < len(section):
            [(name, info, value)] = _read(_TYPE, section, at)
            at += _TYPE.size
            kind = _kind(info >> 24 & 0x1F)
            entries: list[tuple[int, ...]] = []
            if entry := _ONE.get(kind) or _MANY.get(kind):
                count = 1 if kind in _ONE else info & 0xFFFF
                entries = _read(entry, section, at, count)
                at += entry.size * count
            yield _Type(kind, bool(info >> 31), self._string(name), value, entries)

    def _flatten(self, struct: _Type, label: str, base: int = 0, depth: int = 1) -> Iterator[Member]:
        """Members of `struct`, which lies `base` bytes into the outermost one; `label` begins errors."""
        for name_at, id, position in struct.entries:
            name = self._string(name_at)
            member = self._resolve(id)
            offset = base + self._byte_offset(position, member, flag=struct.flag, label=label + name)
            if member.kind is _Kind.STRUCT:
                if depth == _MAX_DEPTH or not member.entries:  # empty ones would escape _MAX_MEMBERS
                    raise FormatError(f"{label}{name} is a struct that is empty or deeper than {_MAX_DEPTH}")
                yield from self._flatten(member, f"{label}{name}.", offset, depth + 1)
            elif _CROSSES.fullmatch(spec := self._spec(id)):
                yield Member(name, spec, offset)
            else:
                raise FormatError(f"{label}{name} is {spec}: only integers and arrays of them may cross")

    @staticmethod
    def _byte_offset(position: int, member: _Type, *, flag: bool, label: str) -> int:
        """Bytes from the start of the struct, from `btf_member.offset`; refuses bit-fields."""
        width, bits = (position >> 24, position & 0xFFFFFF) if flag else (0, position)
        # Without kind_flag a bit-field is an INT that has fewer bits than its size, or an offset of its own.
        narrow = member.kind is _Kind.INT and member.entries[0][0] & 0xFFFFFF != 8 * member.value
        if width or bits % 8 or narrow:
            raise FormatError(f"{label} is a bit-field, which may not cross")
        return bits // 8

    def _spec(self, id: int) -> str:
        """The type in the words of `Member.spec`; total over well-formed types."""
        dimensions = ""
        for _ in range(_MAX_DEPTH):
            type = self._resolve(id)
            if type.kind is not _Kind.ARRAY:
                return _scalar(type) + dimensions
            id, _index, count = type.entries[0]
            dimensions += f"[{count or ''}]"
        raise FormatError(f"BTF type {id}: arrays are nested deeper than {_MAX_DEPTH}")

    def _resolve(self, id: int) -> _Type:
        """The type behind typedefs and qualifiers."""
        for _ in range(_MAX_DEPTH):
            type = self._type(id)
            if type.kind not in _ALIASES:
                return type
            id = type.value
        raise FormatError(f"BTF type {id}: typedefs are nested deeper than {_MAX_DEPTH}")

    def _type(self, id: int) -> _Type:
        if id >= len(self._types):
            raise FormatError(f"BTF type {id} does not exist: there are {len(self._types)}")
        return self._types[id]

    def _string(self, at: int) -> str:
        end = self._strings.find(b"\0", at)
        if end < 0:
            raise FormatError(f"BTF string {at} lies outside the string section")
        return self._strings[at:end].decode("utf-8", "backslashreplace")


def _scalar(type: _Type) -> str:
    match type.kind:
        case _Kind.INT if type.name == "char":
            return "char"
        case _Kind.INT:
            signed = type.entries[0][0] >> 24 & 1
        case _Kind.ENUM | _Kind.ENUM64:
            signed = type.flag
        case kind:
            return f"{kind.name.lower()} {type.name}".rstrip()
    return f"{'s' if signed else 'u'}{8 * type.value}"


def _kind(number: int) -> _Kind:
    try:
        return _Kind(number)
    except ValueError:
        raise FormatError(f"BTF kind {number} is newer than this version of Pellucid") from None


def _section(raw: bytes, start: int, size: int) -> bytes:
    if start + size > len(raw):
        raise FormatError(f"the BTF is cut short: {len(raw)} bytes, and a section ends at {start + size}")
    return raw[start : start + size]


def _read(entry: Format, raw: bytes, at: int, count: int = 1) -> list[tuple[int, ...]]:
    """`count` entries from byte `at` on."""
    return list(entry.iter_unpack(_section(raw, at, entry.size * count)))
