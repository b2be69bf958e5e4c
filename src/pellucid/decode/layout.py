"""A record class and the C struct of the same name become one `struct.Struct` and one fast function.

The class says which fields it wants, with C types and in C order; offsets come from the object's BTF,
and whatever the two do not agree on is refused when the object is loaded, never when a record arrives.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import get_type_hints

from pellucid.decode.btf import Btf, Member, Struct
from pellucid.errors import FormatError
from pellucid.model import Record

Decoder = Callable[[bytes | memoryview], Record]
"""From the bytes of one record, `head.size` long, to the record; `FormatError` where they are too few."""

_HEAD = (Member("type", "u32", 0), Member("size", "u32", 4))
"""How `struct head` begins: the tag that chose the decoder, and the length that capture has used."""

_TAIL = "u8[]"
_INTEGERS = {"u8": "B", "s8": "b", "u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q"}
_BYTES = re.compile(r"(?:u8|char)\[(\d+)\]")


def decoders(btf: Btf, classes: Sequence[type]) -> dict[int, Decoder]:
    """By BTF type id (a record's tag), how to read each class whose C struct the object has.

    Raises `FormatError` as `decoder` does, and as `Btf.struct` does.
    """
    structs = [(btf.struct(c_name(cls)), cls) for cls in classes]
    return {found.id: decoder(found, cls) for found, cls in structs if found}


def decoder(c_struct: Struct, cls: type) -> Decoder:
    """How to read `c_struct` as `cls`, a NamedTuple whose fields are annotated with their C types.

    C fields that the class does not name are skipped. `u8[]` takes the rest of the record, as bytes.
    Raises `FormatError`, naming struct and field, where a field is missing, of another type or in
    another order, or where the struct does not begin with `struct head`.
    """
    members = _match(c_struct, cls)
    end = c_struct.members[-1]
    has_tail = end.spec == _TAIL and end in members
    fixed = members[:-1] if has_tail else members
    return _function(cls, _format(c_struct, fixed), has_tail=has_tail)


def c_name(cls: type) -> str:
    """The C struct's name for a class: `HttpReply` is `http_reply`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def c_fields(cls: type) -> dict[str, str]:
    """A record class's fields and their C types, in order."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: getattr(hint, "__metadata__", ["no C type"])[0] for name, hint in hints.items()}


def _match(c_struct: Struct, cls: type) -> list[Member]:
    """The C member of each field, in order; refuses whatever differs."""
    if c_struct.members[: len(_HEAD)] != _HEAD:
        raise FormatError(f"struct {c_struct.name} does not begin with struct head (u32 type, u32 size)")
    members = c_struct.members[len(_HEAD) :]
    matched: list[Member] = []
    for name, spec in c_fields(cls).items():
        label = f"struct {c_struct.name}: field {name}"
        member = _only(members, name, label)
        if member.spec != spec:
            raise FormatError(f"{label} is {member.spec}, and {cls.__name__} declares {spec}")
        if matched and members.index(member) < members.index(matched[-1]):
            raise FormatError(f"{label} lies before {matched[-1].name}, and {cls.__name__} declares it after")
        matched.append(member)
    return matched


def _only(members: Sequence[Member], name: str, label: str) -> Member:
    found = [member for member in members if member.name == name]
    if len(found) != 1:
        raise FormatError(f"{label} is {'there more than once' if found else 'missing'}")
    return found[0]


def _format(c_struct: Struct, fixed: Sequence[Member]) -> struct.Struct:
    """Reads `fixed`, with the bytes between them skipped; as long as the struct's fixed part."""
    text, at = "<", 0
    for member in fixed:
        label = f"struct {c_struct.name}: field {member.name}"
        code = _code(member, label)
        text += _skip(at, member.offset, label) + code
        at = member.offset + struct.calcsize("<" + code)
    last = c_struct.members[-1]
    end = last.offset if last.spec.endswith("[]") else c_struct.size
    return struct.Struct(text + _skip(at, end, f"struct {c_struct.name}: the end"))


def _code(member: Member, label: str) -> str:
    if array := _BYTES.fullmatch(member.spec):
        return f"{array[1]}s"
    if member.spec not in _INTEGERS:
        raise FormatError(
            f"{label} is {member.spec}: only integers, char[n], u8[n] and a last u8[] can be read"
        )
    return _INTEGERS[member.spec]


def _skip(start: int, end: int, label: str) -> str:
    if end < start:
        raise FormatError(f"{label} lies at byte {end}, inside the field before it")
    return f"{end - start}x"


def _function(cls: type, fixed: struct.Struct, *, has_tail: bool) -> Decoder:
    """The hot path: runs once a record, so the two shapes share no code that would cost a call."""
    unpack, size, new = fixed.unpack_from, fixed.size, partial(tuple.__new__, cls)

    def whole(payload: bytes | memoryview) -> Record:
        try:
            return new(unpack(payload))
        except struct.error:
            raise _too_short(cls, size, payload) from None

    def with_tail(payload: bytes | memoryview) -> Record:
        try:
            return new((*unpack(payload), bytes(payload[size:])))
        except struct.error:
            raise _too_short(cls, size, payload) from None

    return with_tail if has_tail else whole


def _too_short(cls: type, size: int, payload: bytes | memoryview) -> FormatError:
    return FormatError(f"a {c_name(cls)} record has {len(payload)} bytes, fewer than its {size} fixed ones")
