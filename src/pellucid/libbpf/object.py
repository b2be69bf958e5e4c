"""BPF objects, their programs and maps: what the file says before `load`, what the kernel has after."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.libbpf._native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BPF_ANY = 0


class BpfError(PellucidError):
    """The kernel or libbpf refused something."""


def check(result: int, what: str) -> int:
    """Return `result`, or raise BpfError where it is a negative errno."""
    if result < 0:
        raise BpfError(f"{what}: {os.strerror(-result)}")
    return result


def built_object(folders: Iterable[str], name: str) -> Path:
    """The object of a package, whose `__path__` this is: an editable install keeps built files in a second folder."""
    for folder in folders:
        path = Path(folder, name)
        if path.exists():
            return path
    raise PellucidError(f"{name} was not built: run make setup")


def possible_cpus() -> int:
    """How many CPUs the kernel may ever have: the number of values in a per-CPU map's element."""
    return check(lib.libbpf_num_possible_cpus(), "cannot count the CPUs")


def wait_for_programs() -> bool:
    """Wait until every BPF program that is running now has ended; false where the kernel cannot tell."""
    return bool(lib.wait_for_programs())


def explain(log: str) -> str:
    """The lines of a libbpf log that matter, from a verifier's log of thousands.

    The verifier states its reason on the line before `processed N insns`; the source line that it is
    about is the last one that begins with `;`. Without a verifier's log it is libbpf's last message before
    the one that only says that loading failed.
    """
    lines = [line for line in log.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if re.match(r"processed \d+ insns", line) and index:
            source = next((at for at in reversed(lines[:index]) if at.startswith("; ")), "")
            return f"{lines[index - 1]} {source} ({len(lines) - 2} lines omitted)"
    telling = [line for line in lines if "failed to load object" not in line] or lines
    return telling[-1] if telling else "no reason given"


class BpfMap:
    """A map of an object; keys and values are bytes of exactly the declared sizes."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self._handle = handle

    @property
    def fd(self) -> int:
        """The file descriptor; valid after the object was loaded."""
        return int(lib.bpf_map__fd(self._handle))

    @property
    def max_entries(self) -> int:
        """Number of elements; for a ring its size in bytes."""
        return int(lib.bpf_map__max_entries(self._handle))

    @property
    def value_size(self) -> int:
        """Bytes of one value; of one CPU's value in a per-CPU map."""
        return int(lib.bpf_map__value_size(self._handle))

    def resize(self, entries: int) -> None:
        """Set `max_entries`, before the object is loaded."""
        check(lib.bpf_map__set_max_entries(self._handle, entries), f"cannot size map {self.name}")

    def initial(self) -> memoryview:
        """The writable initial bytes of a data section's map, before the object is loaded."""
        size = ffi.new("size_t *")
        start = lib.bpf_map__initial_value(self._handle, size)
        return memoryview(ffi.buffer(start, size[0]))

    def update(self, key: bytes, value: bytes) -> None:
        """Set one element."""
        if lib.bpf_map_update_elem(self.fd, ffi.from_buffer(key), ffi.from_buffer(value), BPF_ANY):
            raise BpfError(f"cannot write map {self.name}: {os.strerror(ffi.errno)}")

    def delete(self, key: bytes) -> None:
        """Remove one element, where it is there."""
        if lib.bpf_map_delete_elem(self.fd, ffi.from_buffer(key)) and ffi.errno != errno.ENOENT:
            raise BpfError(f"cannot write map {self.name}: {os.strerror(ffi.errno)}")

    def lookup(self, key: bytes, values: int = 1) -> bytes | None:
        """One element's value, `values` of them (each padded to 8 bytes) in a per-CPU map; None if absent."""
        size = self.value_size if values == 1 else (self.value_size + 7 & ~7) * values
        out = ffi.new("char[]", size)
        if lib.bpf_map_lookup_elem(self.fd, ffi.from_buffer(key), out) == 0:
            return bytes(ffi.buffer(out, size))
        if ffi.errno != errno.ENOENT:
            raise BpfError(f"cannot read map {self.name}: {os.strerror(ffi.errno)}")
        return None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """The keys and values of a hash; an element that comes or goes meanwhile may be missed or seen twice."""
        size = int(lib.bpf_map__key_size(self._handle))
        last, key = ffi.NULL, ffi.new("char[]", size)
        while lib.bpf_map_get_next_key(self.fd, last, key) == 0:
            found = bytes(ffi.buffer(key, size))
            value = self.lookup(found)
            if value is not None:
                yield found, value
            last, key = key, ffi.new("char[]", size)

    def values(self) -> Iterator[bytes]:
        """As `items`, without the keys."""
        return (value for _, value in self.items())

    def take(self) -> Iterator[tuple[bytes, bytes]]:
        """Remove the elements of a hash, and yield their keys and values."""
        key = ffi.new("char[]", int(lib.bpf_map__key_size(self._handle)))
        while lib.bpf_map_get_next_key(self.fd, ffi.NULL, key) == 0:
            found = bytes(ffi.buffer(key))
            value = self.lookup(found)
            lib.bpf_map_delete_elem(self.fd, key)
            if value is not None:
                yield found, value


class Program:
    """A program of an object."""

    def __init__(self, name: str, handle: Any) -> None:
        self.name = name
        self.handle = handle

    @property
    def fd(self) -> int:
        """The file descriptor; valid after the object was loaded."""
        return int(lib.bpf_program__fd(self.handle))

    def for_uprobe_multi(self) -> None:
        """Make the program one for uprobe_multi links, before the object is loaded."""
        lib.bpf_program__set_expected_attach_type(self.handle, lib.PELLUCID_TRACE_UPROBE_MULTI)

    def disable(self) -> None:
        """Leave the program out when the object is loaded."""
        lib.bpf_program__set_autoload(self.handle, False)


class BpfObject:
    """One `.bpf.o` file. Opening it needs no privilege; `load` does."""

    def __init__(self, path: Path) -> None:
        lib.log_collect()
        self.path = path
        self._handle = lib.bpf_object__open(os.fsencode(path))
        if self._handle == ffi.NULL:
            reason = explain(_log())
            raise BpfError(f"cannot open the BPF object {path}: {reason}; run make bpf")

    def load(self) -> None:
        """Create the maps and load the programs; BpfError with the verifier's reason."""
        result = lib.bpf_object__load(self._handle)
        if result == -errno.EPERM:
            raise BpfError(f"cannot load {self.path.name}: not permitted; run as root (see pellucid doctor)")
        if result < 0:
            raise BpfError(f"cannot load {self.path.name}: {os.strerror(-result)}: {explain(_log())}")

    def close(self) -> None:
        """Free it; descriptors that were duplicated or linked live on."""
        if self._handle is not None:
            lib.bpf_object__close(self._handle)
        self._handle = None

    def btf(self) -> bytes:
        """The object's types as a raw .BTF blob, with the offsets of variables filled in."""
        size = ffi.new("uint32_t *")
        raw = lib.btf__raw_data(lib.bpf_object__btf(self._handle), size)
        return bytes(ffi.buffer(raw, size[0]))

    def map(self, name: str) -> BpfMap:
        """The map of that name; a data section's is called as the section."""
        return BpfMap(name, self._find(lib.bpf_object__find_map_by_name, "map", name))

    def program(self, name: str) -> Program:
        """The program of that (function) name."""
        return Program(name, self._find(lib.bpf_object__find_program_by_name, "program", name))

    def _find(self, function: Any, kind: str, name: str) -> Any:
        found = function(self._handle, name.encode())
        if found == ffi.NULL:
            raise BpfError(f"{self.path.name} has no {kind} {name}")
        return found


def _log() -> str:
    text: bytes = ffi.string(lib.log_take())
    return text.decode(errors="replace")
