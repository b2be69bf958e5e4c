"""Load plaintext.bpf.o, attach it to targets, and ask the kernel what it has counted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pellucid.attach import follow
from pellucid.attach.accessors import FUNCTIONS, find_accessors
from pellucid.attach.facts import rows_of
from pellucid.attach.overwrites import Overwrites
from pellucid.attach.points import KINDS, PROGRAMS, Point, points_of
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
    close_links,
    has_uprobe_multi,
    possible_cpus,
    wait_for_programs,
)
from pellucid.model import LOSS_REASONS, RECORDS, Direction, Drops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.filters import Filter
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
        self._probes: dict[int, list[Link]] = {}
        """By the number of the target."""
        self._names: dict[int, str] = {}
        self._points: list[Point] = []
        self._configure(ring_size)
        self._object.load()
        who.fill(self._object)
        self.ring = self._object.map("ring")
        self._point = MapValue(self._types, "point")
        self._field = MapValue(self._types, "field")

    def _configure(self, ring_size: int) -> None:
        self._object.map("ring").resize(ring_size)
        self._who.size_maps(self._object)
        constants = {"wake_mark": min(1 << 20, ring_size // 4), **self._who.constants()}
        for name, value in constants.items():
            self._set_constant(name, value)
        if self._multi:
            for name in PROGRAMS:
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
        if self._who.follow:
            fork = self._object.program("process_fork")
            self._links.append(attach_raw_tracepoint(fork, "sched_process_fork"))
        for tracepoint in SOCKET_TRACEPOINTS:
            try:
                self._links.append(attach_raw_tracepoint(self._object.program("socket_used"), tracepoint))
            except BpfError:
                missing.append(tracepoint)
        return missing

    def attach_hello(self, cgroup_fd: int) -> None:
        """Watch handshakes leave the sockets of a cgroup: the addresses of TLS that goes through memory."""
        self._links.append(attach_cgroup(self._object.program("hello_sent"), cgroup_fd))

    def follow(self, pid: int) -> int:
        """Begin with this process and the descendants that it has; how many these are.

        PellucidError if there is none.
        """
        return len(follow.seed(self._object.map("followed"), pid)) - 1

    def follows_anybody(self) -> bool:
        """Whether a process that is to be followed is left."""
        return any(self._object.map("followed").values())

    def attach(self, target: FoundTarget, target_id: int, library: Library, sites: list[CallSite]) -> None:
        """Attach to every point of one file, or raise BpfError and to none."""
        self.overwrites.watch(target.path, target_id)
        self._names[target_id] = target.display
        points = points_of(target.functions, library, sites)
        cookies = [self._add_point(point, target_id) for point in points]
        links: list[Link] = []
        try:
            for name, kinds in PROGRAMS.items():
                places = [
                    Site(point.offset, cookie)
                    for point, cookie in zip(points, cookies, strict=True)
                    if point.kind in kinds
                ]
                links += attach_uprobes(
                    self._object.program(name),
                    str(target.path),
                    places,
                    pid=self._who.only_pid or 0,
                    at_return=name == "returned",
                    multi=self._multi,
                )
        except BpfError:
            close_links(links)
            raise
        self._probes[target_id] = links

    def describe(self, target_id: int, fields: Fields) -> None:
        """Tell the programs where the connection objects of a target keep things."""
        for key, field in rows_of(target_id, fields, self._field):
            self._object.map("fields").update(_KEY.pack(key), field)

    def _add_point(self, point: Point, target_id: int) -> int:
        """Enter the point into the kernel's map; its index there is its probes' cookie."""
        cookie = len(self._points)
        self._points.append(point)
        value = self._point.write(
            target=target_id,
            kind=KINDS.index(point.kind),
            direction=point.direction,
            handle=point.handle,
            value=point.value,
            size=point.size,
            count=point.count,
            absent=point.absent,
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
            unfollowed_forks=sum(totals.read(cpu, "unfollowed")[0] for cpu in each),
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
        """Remove the probes of one file."""
        close_links(self._probes.pop(target_id, []))

    def detach_overwritten(self) -> Iterator[str]:
        """Remove the probes of the files that somebody writes into; their names."""
        for target_id in self.overwrites.take():
            self.detach_target(target_id)
            yield self._names[target_id]

    def detach(self) -> None:
        """Remove every probe."""
        close_links([*self._links, *(link for links in self._probes.values() for link in links)])
        self._links.clear()
        self._probes.clear()

    def close(self) -> None:
        """Remove every probe and free the object."""
        self.detach()
        self.overwrites.close()
        self._object.close()


def find_fields(target: FoundTarget) -> Fields:
    """Where the library keeps what is known of a connection."""
    with Elf(target.path) as elf:
        return find_accessors(elf, target.functions | elf.symbols(FUNCTIONS)).fields


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
