"""Load plaintext.bpf.o, attach it to targets, and ask the kernel what it has counted."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.attach.overwrites import Overwrites
from pellucid.attach.points import AT_RETURN, UPROBES, Probe, probes_of
from pellucid.attach.sites import find_calls
from pellucid.attach.symbols import Elf
from pellucid.attach.values import MapValue
from pellucid.decode.btf import Btf
from pellucid.decode.layout import decoders
from pellucid.libbpf import (
    BpfError,
    BpfObject,
    Link,
    Site,
    attach_cgroup,
    attach_raw_tracepoint,
    attach_uprobes,
    has_uprobe_multi,
    possible_cpus,
    wait_for_programs,
)
from pellucid.model import LOSS_REASONS, RECORDS, Direction, Drops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site as CallSite
    from pellucid.attach.targets import FoundTarget

TRACEPOINTS = (
    ("thread_exit", "sched_process_exit"),
    ("process_exec", "sched_process_exec"),
)
SOCKET_TRACEPOINTS = ("sock_send_length", "sock_recv_length")

_U64 = (1 << 64) - 1
_KEY = struct.Struct("<I")


@dataclass(frozen=True)
class Filter:
    """Who is watched; None for everybody."""

    pid: int | None = None
    uid: int | None = None
    cgroup_fd: int | None = None
    """A descriptor of a directory of cgroup v2; the groups below it are meant too."""


class Tracing:
    """The loaded object and its links. Everything ends with `close`, or with this process."""

    def __init__(self, path: Path, ring_size: int, who: Filter) -> None:
        self._object = BpfObject(path)
        self.btf = self._object.btf()
        self._types = Btf(self.btf)
        decoders(self._types, RECORDS)  # refuses an object whose records are not those of model.py
        self._who = who
        self._multi = has_uprobe_multi()
        self.overwrites = Overwrites()
        """Of the files that were attached to."""
        self._links: list[Link] = []
        self._probes: dict[int, list[Link]] = defaultdict(list)
        """By the number of the target; in the order in which they were attached."""
        self._names: dict[int, str] = {}
        self._points: list[Probe] = []
        self._configure(ring_size)
        self._object.load()
        if who.cgroup_fd is not None:
            self._object.map("cgroups").update(_KEY.pack(0), _KEY.pack(who.cgroup_fd))
        self.ring = self._object.map("ring")
        self._point = MapValue(self._types, "point")

    def _configure(self, ring_size: int) -> None:
        who, ring = self._who, self._object.map("ring")
        ring.resize(ring_size)
        self._set_constant("wake_mark", min(1 << 20, ring_size // 4))
        if who.pid is not None:
            self._set_constant("filter_pid", who.pid)
        if who.uid is not None:
            self._set_constant("filter_uid", who.uid)
        self._set_constant("filter_cgroup", who.cgroup_fd is not None)
        if self._multi:
            for name in UPROBES:
                self._object.program(name).for_uprobe_multi()

    def _set_constant(self, name: str, value: int) -> None:
        variable = self._types.variables(".rodata")[name]
        area = self._object.map(".rodata").initial()
        area[variable.offset : variable.offset + variable.size] = value.to_bytes(variable.size, "little")

    def attach_tracepoints(self) -> list[str]:
        """Attach what belongs to no library; the names of optional tracepoints that this kernel lacks."""
        missing = []
        for program, tracepoint in TRACEPOINTS:
            self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))
        for tracepoint in SOCKET_TRACEPOINTS:
            try:
                self._links.append(attach_raw_tracepoint(self._object.program("socket_used"), tracepoint))
            except BpfError:
                missing.append(tracepoint)
        return missing

    def attach_hello(self, cgroup_fd: int) -> None:
        """Watch handshakes leave the sockets of a cgroup: the addresses of TLS that goes through memory."""
        self._links.append(attach_cgroup(self._object.program("hello_sent"), cgroup_fd))

    def attach(self, target: FoundTarget, target_id: int, library: Library, sites: list[CallSite]) -> None:
        """Attach to every point of one file."""
        self.overwrites.watch(target.path, target_id)
        self._names[target_id] = target.display
        by_program: dict[str, list[Site]] = defaultdict(list)
        for row in probes_of(target.functions, library, sites):
            by_program[row.program].append(Site(row.offset, self._add_point(row, target_id)))
        for name in UPROBES:
            if by_program[name]:
                self._probes[target_id] += attach_uprobes(
                    self._object.program(name),
                    str(target.path),
                    by_program[name],
                    pid=self._who.pid or 0,
                    at_return=name in AT_RETURN,
                    multi=self._multi,
                )

    def _add_point(self, row: Probe, target_id: int) -> int:
        """Enter the row into the map of points; its index there is the probe's cookie."""
        cookie = len(self._points)
        self._points.append(row)
        value = self._point.write(
            target=target_id,
            direction=row.direction,
            handle=row.handle,
            value=row.value,
            size=row.size,
            count=row.count,
            absent=row.absent,
        )
        self._object.map("points").update(_KEY.pack(cookie), value)
        return cookie

    def writes_since_before(self, boot: int) -> bool:
        """Whether a write that began before this boot time (ns) has not returned yet."""
        frame = MapValue(self._types, "frame")
        return any(
            frame.read(raw, "sp", at)[0]
            and frame.read(raw, "time", at)[0] < boot
            and self._points[frame.read(raw, "point", at)[0]].direction == Direction.WRITE
            for raw in self._object.map("threads").values()
            for at in range(0, len(raw), frame.size)
        )

    def stop(self) -> None:
        """From now on the programs record nothing: the ring holds all there is, and the totals are final.

        A program may be in the middle of a long call; where one cannot wait for it, detaching does.
        """
        self._object.map(".data.stop").update(_KEY.pack(0), _KEY.pack(1))
        if not wait_for_programs():
            self.detach()

    def drops(self) -> Drops:
        """What was seen and lost since the start, over all CPUs."""
        totals, cpus = MapValue(self._types, "totals"), possible_cpus()
        raw = self._object.map("totals").lookup(_KEY.pack(0), cpus) or b""
        stride = len(raw) // cpus
        each = [raw[at : at + stride] for at in range(0, len(raw), stride)]
        lost = [
            sum(column) & _U64 for column in zip(*(totals.read(cpu, "lost") for cpu in each), strict=True)
        ]
        return Drops(
            seen_bytes=sum(totals.read(cpu, "seen")[0] for cpu in each) & _U64,
            lost=dict(zip(LOSS_REASONS, lost, strict=True)),
            untracked_calls=sum(totals.read(cpu, "untracked")[0] for cpu in each),
        )

    def offsets(self) -> Iterator[tuple[int, int, int]]:
        """(connection, bytes read, bytes written) of every connection that is still open."""
        connection = MapValue(self._types, "connection")
        for raw in self._object.map("connections").values():
            read, written = connection.read(raw, "offset")
            yield connection.read(raw, "id")[0], read, written

    def unsaid_ends(self) -> Iterator[tuple[int, int, int]]:
        """The same of connections that have ended without room in the ring for saying so; each once."""
        ended = MapValue(self._types, "ended")
        for key, raw in self._object.map("unsaid").take():
            yield int.from_bytes(key, "little"), ended.read(raw, "read")[0], ended.read(raw, "written")[0]

    def detach_target(self, target_id: int) -> None:
        """Remove the probes of one file, entries first."""
        for link in reversed(self._probes.pop(target_id, [])):
            link.close()

    def detach_overwritten(self) -> Iterator[str]:
        """Remove the probes of the files that somebody writes into; their names."""
        for target_id in self.overwrites.take():
            self.detach_target(target_id)
            yield self._names[target_id]

    def detach(self) -> None:
        """Remove every probe, entries first."""
        for target_id in list(self._probes):
            self.detach_target(target_id)
        while self._links:
            self._links.pop().close()

    def close(self) -> None:
        """Remove every probe and free the object."""
        self.detach()
        self.overwrites.close()
        self._object.close()


def find_sites(target: FoundTarget, library: Library, *, entry_only: bool = False) -> list[CallSite]:
    """Where the probes of one file's calls go."""
    with Elf(target.path) as elf:
        return find_calls(elf, library.calls, target.functions, entry_only=entry_only)


def ring_bytes(mapsize_kib: int) -> int:
    """Size of the ring: `mapsize` for each CPU, between 32 and 256 MiB, rounded up to a power of two.

    32 MiB hold a single call of 16 MiB with room to spare.
    """
    wanted = min(max(mapsize_kib * 1024 * possible_cpus(), 32 << 20), 256 << 20)
    return 1 << (wanted - 1).bit_length()
