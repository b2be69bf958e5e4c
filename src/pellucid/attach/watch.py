"""New executable mappings, from the kernel as they are made: by the linker, by dlopen(3), by exec.

They come as the records that profilers read (perf_event_open(2)): no polling, and no tracepoint that every
system call would pay for. A mapping costs its process about a microsecond more.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from pellucid.attach.images import Area
from pellucid.errors import PellucidError
from pellucid.libbpf import NewMappings

if TYPE_CHECKING:
    from collections.abc import Iterator

# <linux/perf_event.h>, without the fields that only come when they are asked for
_HEADER = Struct("<IHH")  # type, misc, size
_MMAP2 = Struct("<8xIIQQ8xIIQQ8x")  # pid, tid, addr, len, maj, min, ino, ino_generation; the name follows
_PERF_RECORD_MMAP2 = 10

_ONLINE = Path("/sys/devices/system/cpu/online")


class Mapping(NamedTuple):
    """A file that a process has just mapped for execution."""

    area: Area
    name: str
    """As the process names it; it may have been replaced there since."""

    @property
    def proven(self) -> bool:
        """Whether the area's key is the file's own.

        Of a file on an overlay newer kernels tell what stat() does: the overlay's device, and no generation.
        Such a device is given again with the next container, so nothing may be concluded from it.
        """
        return self.area.device >> 20 != 0 or self.area.generation != 0


class Missed(NamedTuple):
    """More was mapped than there was room to tell of: what is mapped now has to be looked at."""


class Watch:
    """The CPUs' records, from its making until `close`. PellucidError where the kernel does not give them."""

    def __init__(self) -> None:
        self._cpus = _online()
        self._mappings = NewMappings()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """For poll(2): readable when there is something new, once for each time."""
        return self._mappings.ready_fd

    def take(self) -> Iterator[Mapping | Missed]:
        """What is new since the last call."""
        while records := self._mappings.take():
            yield from split(records)

    def outdated(self) -> bool:
        """Whether CPUs have come or gone: then a new Watch is needed, which knows them."""
        return _online() != self._cpus

    def close(self) -> None:
        """Ask no longer."""
        self._mappings.close()


def split(records: bytes) -> Iterator[Mapping | Missed]:
    """The records of a batch. Mappings of no file, and of other pid namespaces' processes, are left out."""
    at = 0
    while at < len(records):
        kind, _, size = _HEADER.unpack_from(records, at)
        if kind == _PERF_RECORD_MMAP2:
            pid, tid, start, length, major, minor, inode, generation = _MMAP2.unpack_from(records, at)
            if inode and pid:
                name = records[at + _MMAP2.size : at + size].split(b"\0", 1)[0]
                area = Area(pid, tid, start, start + length, major << 20 | minor, inode, generation)
                yield Mapping(area, os.fsdecode(name))
        else:
            yield Missed()
        at += size


def _online() -> str:
    """The CPUs that are on, as the kernel lists them."""
    try:
        return _ONLINE.read_text()
    except OSError as error:
        raise PellucidError(f"cannot read {_ONLINE}: {error.strerror}") from error
