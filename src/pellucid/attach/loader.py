"""Load plaintext.bpf.o, attach it to targets, and ask the kernel what it has counted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach import follow
from pellucid.attach.code.accessors import FUNCTIONS, find_accessors
from pellucid.attach.facts import keys_of, rows_of
from pellucid.attach.overwrites import Overwrites
from pellucid.attach.points import PROGRAMS, Points, points_of
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
    trial,
    wait_for_programs,
)
from pellucid.model import LOSS_REASONS, RECORDS, Direction, Drops

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.filters import Filter
    from pellucid.attach.library import Library
    from pellucid.attach.points import Point
    from pellucid.attach.sites import Site as CallSite
    from pellucid.attach.targets import FoundTarget

TRACEPOINTS = (
    ("thread_exit", "sched_process_exit"),
    ("process_exec", "sched_process_exec"),
)
SOCKET_TRACEPOINTS = ("sock_send_length", "sock_recv_length")

_U64 = (1 << 64) - 1
_KEY = struct.Struct("<I")


class Attached(NamedTuple):
    """What a target has of its own; `detach_targets` gives it back."""

    name: str
    cookies: list[int]
    links: list[Link]


class Tracing:
    """The loaded object and its links. Everything ends with `close`, or with this process."""

    def __init__(self, path: Path, ring_size: int, who: Filter) -> None:
        self._object = BpfObject(path)
        self.btf = self._object.btf()
        self._types = Btf(self.btf)
        decoders(self._types, RECORDS)  # refuses an object whose records are not those of pellucid.model
        self._who = who
        self._multi = has_uprobe_multi()
        self.overwrites = Overwrites()
        """Of the files that were attached to."""
        self._links: list[Link] = []
        self._attached: dict[int, Attached] = {}
        """By the number of the target."""
        self._configure(ring_size)
        self._object.load()
        who.fill(self._object)
        self.ring = self._object.map("ring")
        self._points = Points(self._object.map("points"), MapValue(self._types, "point"))
        self._field = MapValue(self._types, "field")

    def _configure(self, ring_size: int) -> None:
        self._object.map("ring").resize(ring_size)
        self._who.size_maps(self._object)
        self.sender_known = trial.has_helper(trial.GET_CURRENT_PID_TGID, trial.CGROUP_SKB)
        constants = {
            "wake_mark": min(1 << 20, ring_size // 4),
            "sender_known": int(self.sender_known),
            **self._who.constants(),
        }
        set_constants(self._object, self._types, constants)
        if self._multi:
            for name in PROGRAMS:
                self._object.program(name).for_uprobe_multi()

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

    def attach(self, target: FoundTarget, target_id: int, points: list[Point]) -> None:
        """Attach to every point of one file, or raise BpfError and to none."""
        self.overwrites.watch(target.path, target_id)
        self._attached[target_id] = attached = Attached(target.display, [], [])
        try:
            attached.cookies.extend(self._points.add(points, target_id))
            probes = attach_points(
                self._object,
                target.path,
                points,
                attached.cookies,
                pid=self._who.only_pid or 0,
                multi=self._multi,
            )
            attached.links.extend(probes)  # also those before one that fails, for they are to be closed
        except BpfError:
            self.detach_targets([target_id])
            raise

    def describe(self, target_id: int, fields: Fields) -> None:
        """Tell the programs where the connection objects of a target keep things. BpfError: there is no room."""
        for key, field in rows_of(target_id, fields, self._field):
            self._object.map("fields").update(_KEY.pack(key), field)

    def writes_since_before(self, boot: int) -> bool:
        """Whether a write that began before this boot time (ns) has not returned yet."""
        frame = MapValue(self._types, "frame")
        return any(
            frame.read(raw, "sp", at)[0]
            and frame.read(raw, "time", at)[0] < boot
            and (point := self._points[frame.read(raw, "point", at)[0]])
            and point.direction == Direction.WRITE
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
        return drops_of(self._object, self._types)

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

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        return self._points.crowded

    def detach_targets(self, target_ids: Collection[int]) -> dict[int, str]:
        """Remove the probes of these files, and what else they have; the names of those that had any, by number.

        Their connections are closed with their processes, as ever.
        """
        leaving = {number: self._attached.pop(number) for number in target_ids if number in self._attached}
        close_links([link for each in leaving.values() for link in each.links])
        self.overwrites.forget(target_ids)
        for each in leaving.values():
            self._points.remove(each.cookies)
        for key in (key for number in target_ids for key in keys_of(number)):
            self._object.map("fields").delete(_KEY.pack(key))
        return {number: each.name for number, each in leaving.items()}

    def detach_overwritten(self) -> dict[int, str]:
        """Remove the probes of the files that somebody writes into; their names by number."""
        return self.detach_targets([*self.overwrites.take()])

    def detach(self) -> None:
        """Remove every probe."""
        close_links([*self._links, *(link for each in self._attached.values() for link in each.links)])
        self._links.clear()
        self._attached.clear()

    def close(self) -> None:
        """Remove every probe and free the object."""
        self.detach()
        self.overwrites.close()
        self._object.close()


def set_constants(bpf: BpfObject, types: Btf, constants: Mapping[str, int]) -> None:
    """Set what the programs may not change, by name, before the object is loaded."""
    variables, area = types.variables(".rodata"), bpf.map(".rodata").initial()
    for name, value in constants.items():
        variable = variables[name]
        area[variable.offset : variable.offset + variable.size] = value.to_bytes(variable.size, "little")


def drops_of(bpf: BpfObject, types: Btf) -> Drops:
    """What the object's programs have seen and lost (bpf/record.h) since the start, over all CPUs."""
    totals, cpus = MapValue(types, "totals"), possible_cpus()
    raw = bpf.map("totals").lookup(_KEY.pack(0), cpus) or b""
    stride = len(raw) // cpus
    each = [raw[at : at + stride] for at in range(0, len(raw), stride)]
    lost = [sum(column) & _U64 for column in zip(*(totals.read(cpu, "lost") for cpu in each), strict=True)]
    return Drops(
        seen_bytes=sum(totals.read(cpu, "seen")[0] for cpu in each) & _U64,
        lost=dict(zip(LOSS_REASONS, lost, strict=True)),
        untracked_calls=sum(totals.read(cpu, "untracked")[0] for cpu in each),
        unfollowed_forks=sum(totals.read(cpu, "unfollowed")[0] for cpu in each),
    )


def attach_points(
    programs: BpfObject, path: Path, points: Sequence[Point], cookies: Sequence[int], *, pid: int, multi: bool
) -> Iterator[Link]:
    """Put the probes of a file there, `cookies[i]` being what the programs get at `points[i]`; each link as it is
    made, in the order of `PROGRAMS`. `pid` 0 watches every process. BpfError where one is refused.
    """
    for name, kinds in PROGRAMS.items():
        sites = [
            Site(point.offset, cookie)
            for point, cookie in zip(points, cookies, strict=True)
            if point.kind in kinds
        ]
        yield from attach_uprobes(
            programs.program(name), str(path), sites, pid=pid, at_return=name == "returned", multi=multi
        )


def find_fields(target: FoundTarget) -> Fields:
    """Where the library keeps what is known of a connection."""
    with Elf(target.path) as elf:
        return find_accessors(elf, target.functions | elf.symbols(FUNCTIONS)).fields


def find_points(
    target: FoundTarget, library: Library, sites: list[CallSite], *, entry_only: bool = False
) -> list[Point]:
    """Where all probes of one file go, those of its calls being known."""
    with Elf(target.path) as elf:
        return points_of(elf, target.functions, library, sites, entry_only=entry_only)


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
