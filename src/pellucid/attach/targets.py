"""Which files to watch: the one that was named, those of one process, or the system's own.

A file counts once, however many names it has: its key is device and inode, as seen through the path
that will be opened for the probes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.attach.library import Library
    from pellucid.attach.symbols import Symbol

_LIBRARY = re.compile(r"libssl(-[0-9a-f]+)?\.so(\.|$)")  # also as wheels rename it; not NSS's libssl3.so

_CACHE = Path("/etc/ld.so.cache")
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = Struct("<20sII20x")  # magic, entries, bytes of strings
_CACHE_ENTRY = Struct("<III12x")  # flags, name, path; both as places from the magic on
_CACHE_FLAGS = {
    "x86_64": 0x0303,
    "aarch64": 0x0A03,
}  # FLAG_ELF_LIBC6 with FLAG_X8664_LIB64, FLAG_AARCH64_LIB64


class Key(NamedTuple):
    """What makes a file the same file: `st_dev` and `st_ino`."""

    device: int
    inode: int


class FoundTarget(NamedTuple):
    """A file to attach to."""

    path: Path
    """To open: it reaches the right file also when that is in a container or has been deleted."""
    display: str
    """As the process that uses it names it: for messages, not for opening."""
    library: str
    """Its soname, such as `libssl.so.3`; the file's name where it has none."""
    key: Key
    functions: dict[str, Symbol]
    """Which of its family's functions the file has, by name."""
    how: Literal["symbols", "code", "given"]
    """By what the functions were found: the file's own symbols, a finder, or the user."""


class Mapping(NamedTuple):
    """A file that a process has mapped for execution."""

    range: str
    """Addresses as the kernel writes them: the name in /proc/PID/map_files."""
    path: str


def find_targets(library: Library, libssl: Path | None, pid: int | None) -> list[FoundTarget]:
    """The files that carry the library's read and write calls, each once.

    `libssl` names the file; else `pid` a process whose mapped libraries are meant; else those of the
    dynamic linker's cache. Raises `PellucidError` where there is none, and where a file is not usable.
    """
    if pid is not None and not Path(f"/proc/{pid}").exists():
        raise PellucidError(f"there is no process {pid}")
    if libssl is not None:
        return [_target(library, libssl, str(libssl))]
    if pid is not None:
        where = f"process {pid} maps no libssl"
        found = [_target(library, _reach(pid, mapping), mapping.path) for mapping in _mapped(pid)]
    else:
        where = f"the dynamic linker's cache ({_CACHE}) has no libssl"
        found = [_target(library, path, str(path)) for path in _installed(_CACHE, os.uname().machine)]
    if not found:
        raise PellucidError(f"{where}: name the library or the program that contains it with --libssl")
    return _unique(found)


def _target(library: Library, path: Path, display: str) -> FoundTarget:
    with Elf(path) as elf:
        functions = elf.symbols(library.functions)
        missing = [name for name in library.required if name not in functions]
        if missing:
            raise PellucidError(
                f"{display} does not define {' and '.join(missing)}: it is no OpenSSL library"
            )
        name = elf.soname or Path(display).name
        return FoundTarget(path, display, name, _key(path), functions, "symbols")


def _key(path: Path) -> Key:
    try:
        status = path.stat()
    except OSError as error:
        raise PellucidError(f"cannot look at {path}: {error.strerror}") from error
    return Key(status.st_dev, status.st_ino)


def _unique(found: Iterable[FoundTarget]) -> list[FoundTarget]:
    """The first target of each file."""
    by_key: dict[Key, FoundTarget] = {}
    for target in found:
        by_key.setdefault(target.key, target)
    return list(by_key.values())


# --- of a process ------------------------------------------------------------------------------------


def _mapped(pid: int) -> list[Mapping]:
    """The executable mappings of a process whose file is called as libssl is (proc(5), /proc/PID/maps)."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise PellucidError(f"there is no process {pid}") from error
    except OSError as error:
        raise PellucidError(f"cannot read the mappings of process {pid}: {error.strerror}") from error
    return [mapping for mapping in _mappings(text) if _LIBRARY.match(Path(mapping.path).name)]


def _mappings(text: str) -> Iterator[Mapping]:
    for line in text.splitlines():
        addresses, permissions, _, _, _, *path = line.split(maxsplit=5)
        if path and "x" in permissions:
            yield Mapping(addresses, path[0].removesuffix(" (deleted)"))


def _reach(pid: int, mapping: Mapping) -> Path:
    """The most lasting path that leads to the mapped file itself, and not to its successor.

    A plain path outlives the process; its own root is needed for a container; the mapping alone still
    has the file after it was deleted, as upgrades do.
    """
    root, mapped = Path(f"/proc/{pid}/root"), Path(f"/proc/{pid}/map_files/{mapping.range}")
    paths = (Path(mapping.path), root / mapping.path.lstrip("/"))
    return next((path for path in paths if path.exists() and _key(path) == _key(mapped)), mapped)


# --- of the system -----------------------------------------------------------------------------------


def _installed(cache: Path, machine: str) -> list[Path]:
    """The libssl files of the dynamic linker's cache, for programs of this machine's own kind."""
    if not cache.exists():  # musl has none
        return []
    paths = (path for flags, path in _cached(cache) if flags == _CACHE_FLAGS.get(machine))
    return [path for path in paths if _LIBRARY.match(path.name) and path.exists()]


def _cached(cache: Path) -> Iterator[tuple[int, Path]]:
    """Flags and path of each entry: `struct cache_file_new` of glibc's sysdeps/generic/dl-cache.h."""
    data = cache.read_bytes()
    data = data[max(data.find(_CACHE_MAGIC), 0) :]  # before glibc 2.32 an older table came first
    if len(data) < _CACHE_HEADER.size or not data.startswith(_CACHE_MAGIC):
        raise PellucidError(f"{cache} is not in a known format: name the library with --libssl")
    _, count, _ = _CACHE_HEADER.unpack_from(data)
    entries = data[_CACHE_HEADER.size :][: count * _CACHE_ENTRY.size]
    if len(entries) != count * _CACHE_ENTRY.size:
        raise PellucidError(f"{cache} is cut short: run ldconfig, or name the library with --libssl")
    for flags, _, place in _CACHE_ENTRY.iter_unpack(entries):
        yield flags, Path(os.fsdecode(data[place : data.find(b"\0", place)]))
