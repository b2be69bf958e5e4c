"""Map values by name: their layout comes from the object's BTF, like that of records."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from pellucid.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.decode.btf import Btf

_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s32": "i", "s64": "q"}


class MapValue:
    """Reads and writes the integers of one C struct; members of other types are not offered."""

    def __init__(self, btf: Btf, name: str) -> None:
        found = btf.struct(name)
        if found is None:
            raise FormatError(f"the BPF object has no struct {name}")
        self.size = found.size
        self._fields = {
            member.name: (struct.Struct(f"<{count or 1}{_CODES[kind]}"), member.offset)
            for member in found.members
            for kind, count in re.findall(r"^([us]\d+)(?:\[(\d+)\])?$", member.spec)
        }

    def read(self, raw: bytes, name: str, at: int = 0) -> tuple[int, ...]:
        """The integers of one member of the struct that begins at `at`."""
        layout, offset = self._fields[name]
        return layout.unpack_from(raw, at + offset)

    def write(self, **members: int | Sequence[int]) -> bytes:
        """The struct with these members set, an array by all its integers, and the others 0."""
        raw = bytearray(self.size)
        for name, value in members.items():
            layout, offset = self._fields[name]
            layout.pack_into(raw, offset, *([value] if isinstance(value, int) else value))
        return bytes(raw)


def row_layout(btf: Btf, name: str, fields: tuple[str, ...]) -> struct.Struct:
    """How to read an array of one C struct, whose members are these, integers without room between them."""
    found = btf.struct(name)
    if found is None or tuple(member.name for member in found.members) != fields:
        raise FormatError(f"the BPF object has no struct {name} with the members {', '.join(fields)}")
    layout = struct.Struct("<" + "".join(_CODES[member.spec] for member in found.members))
    if layout.size != found.size:
        raise FormatError(f"struct {name} of the BPF object has room between its members")
    return layout
