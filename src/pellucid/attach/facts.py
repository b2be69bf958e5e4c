"""What plaintext.bpf.c reads from a library's connection object, and where: rows of its map `fields`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pellucid.attach.code.accessors import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.attach.values import MapValue

Fields = Mapping[str, tuple[Field, ...]]
"""What `find_accessors` has found, by name."""

FACTS = (
    ("object_type", 0),
    ("client_random", 0),
    ("server_random", 0),
    ("is_server", 0),
    ("version", 0),
    ("cipher", 0),
    ("server_name", 0),
    ("server_name", 1),
    ("alpn", 0),
    ("alpn_length", 0),
    ("handshake", 0),
    ("master_key", 0),
)
"""The order of `enum fact` in bpf/field.h: what `find_accessors` calls it, and which of several places it is."""

STEPS = 4
"""As in bpf/field.h: the pointers that are followed, and the value's own offset."""

_U32 = (1 << 32) - 1


def keys_of(target: int) -> range:
    """Of all facts that may be known of a target."""
    return range(target * len(FACTS), (target + 1) * len(FACTS))


def rows_of(target: int, fields: Fields, value: MapValue) -> Iterator[tuple[int, bytes]]:
    """(key, value) of each fact that is known of a target; `value` writes a `struct field`."""
    for key, (name, which) in zip(keys_of(target), FACTS, strict=True):
        places = fields.get(name, ())
        if which < len(places):
            yield key, _row(places[which], value)


def _row(field: Field, value: MapValue) -> bytes:
    steps = (*field.path, *[0] * (STEPS - len(field.path)))
    return value.write(mask=field.mask & _U32, steps=steps, depth=len(field.path), size=field.size)
