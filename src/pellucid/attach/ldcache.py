"""The dynamic linker's cache: which shared libraries are installed, though nobody may use them yet."""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = Path("/etc/ld.so.cache")

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = Struct("<20sII20x")  # magic, entries, bytes of strings
_ENTRY = Struct("<III12x")  # flags, name, path; both as places from the magic on
_FLAGS = {
    "x86_64": 0x0303,
    "aarch64": 0x0A03,
}  # FLAG_ELF_LIBC6 with FLAG_X8664_LIB64, FLAG_AARCH64_LIB64


def installed(cache: Path = CACHE, machine: str | None = None) -> list[Path]:
    """The libraries of the cache that are there, for programs of this machine's own kind; not only libssl.

    Raises `PellucidError` where the cache cannot be understood.
    """
    if not cache.exists():  # musl has none
        return []
    native = _FLAGS.get(machine or os.uname().machine)
    return [path for flags, path in entries(cache) if flags == native and path.exists()]


def entries(cache: Path) -> Iterator[tuple[int, Path]]:
    """Flags and path of each entry: `struct cache_file_new` of glibc's sysdeps/generic/dl-cache.h."""
    data = cache.read_bytes()
    data = data[max(data.find(_MAGIC), 0) :]  # before glibc 2.32 an older table came first
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise PellucidError(f"{cache} is not in a known format: name the library with --libssl")
    _, count, _ = _HEADER.unpack_from(data)
    table = data[_HEADER.size :][: count * _ENTRY.size]
    if len(table) != count * _ENTRY.size:
        raise PellucidError(f"{cache} is cut short: run ldconfig, or name the library with --libssl")
    for flags, _, place in _ENTRY.iter_unpack(table):
        yield flags, Path(os.fsdecode(data[place : data.find(b"\0", place)]))
