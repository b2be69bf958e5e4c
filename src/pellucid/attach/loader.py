"""Load plaintext.bpf.o, attach it to targets, and ask the kernel what it has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.code.accessors import FUNCTIONS, find_accessors
from pellucid.attach.facts import keys_of, rows_of
from pellucid.attach.loaded import KEY, Attached, Loaded
from pellucid.attach.points import PROGRAMS, Points, points_of
from pellucid.attach.servers import Servers
from pellucid.attach.sites import find_calls
from pellucid.attach.symbols import Elf
from pellucid.attach.values import MapValue
from pellucid.libbpf import (
    BpfError,
    BpfObject,
    Link,
    Site,
    attach_cgroup,
    attach_uprobes,
    trial,
)
from pellucid.model import Direction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.attach.library import Library
    from pellucid.attach.points import Point
    from pellucid.attach.sites import Site as CallSite
    from pellucid.attach.targets import FoundTarget

TRACEPOINTS = (
    ("thread_exit", "sched_process_exit"),
    ("process_exec", "sched_process_exec"),
)
FORKS = ("process_fork", "sched_process_fork")
CLOSES = ("socket_closed", "inet_sock_set_state")
SOCKET_TRACEPOINTS = (
    ("socket_sent", "sock_send_length"),
    ("socket_received", "sock_recv_length"),
)


class Tracing(Loaded):
    """plaintext.bpf.o."""

    def __init__(
        self, path: Path, ring_size: int, who: Filter, *, plain: bool = False, own_process: bool = False
    ) -> None:
        """`plain` for servers whose plaintext is seen at their sockets, where `attach.plain.check_kernel` agrees;
        `own_process` as `Library` has it.
        """
        self.sender_known = trial.has_helper(trial.GET_CURRENT_PID_TGID, trial.CGROUP_SKB)
        self._plain = plain
        self._sockets_end = plain and not own_process
        constants = {
            "wake_mark": min(1 << 20, ring_size // 4),
            "sender_known": int(self.sender_known),
            "plain_sockets": int(plain),
            "own_process": int(own_process),
        }
        unused = () if plain else ("servers", "objects")
        super().__init__(path, ring_size, who, PROGRAMS, constants, unused)
        self._points = Points(self._object.map("points"), MapValue(self._types, "point"))
        self._cookies: dict[int, list[int]] = {}
        """By the number of the target: of its points."""
        self._field = MapValue(self._types, "field")
        self._servers: Servers | None = None

    def expect_servers(self, images: Images) -> None:
        """Learn from these, which must outlive it, which processes run a target already."""
        self._servers = Servers(self._object.map("servers"), images)

    def attach_tracepoints(self) -> list[str]:
        """Attach what belongs to no library; the names of optional tracepoints that this kernel lacks."""
        missing = []
        for program, tracepoint in TRACEPOINTS:
            self._attach_tracepoint(program, tracepoint)
        if self._who.follow or self._plain:
            self._attach_tracepoint(*FORKS)
        if self._sockets_end:
            self._attach_tracepoint(*CLOSES)
        for program, tracepoint in SOCKET_TRACEPOINTS:
            try:
                self._attach_tracepoint(program, tracepoint)
            except BpfError:
                missing.append(tracepoint)
        return missing

    def attach_hello(self, cgroup_fd: int) -> None:
        """Watch handshakes leave the sockets of a cgroup: the addresses of TLS that goes through memory."""
        self._links.append(attach_cgroup(self._object.program("hello_sent"), cgroup_fd))

    def attach(self, target: FoundTarget, target_id: int, points: list[Point]) -> None:
        """Attach to every point of one file, or raise BpfError and to none."""
        self.overwrites.watch(target.path, target_id)
        self._attached[target_id] = attached = Attached(target.display, [])
        cookies = self._cookies[target_id] = []
        try:
            cookies.extend(self._points.add(points, target_id))
            probes = attach_points(
                self._object,
                target.path,
                points,
                cookies,
                pid=self._who.only_pid or 0,
                multi=self._multi,
            )
            attached.links.extend(probes)  # also those before one that fails, for they are to be closed
        except BpfError:
            self.detach_targets([target_id])
            raise
        if self._servers and any(point.kind == "start" for point in points):  # else its calls are probed
            self._servers.begin(target.key, target_id)

    def describe(self, target_id: int, fields: Fields) -> None:
        """Tell the programs where the connection objects of a target keep things. BpfError: there is no room."""
        for key, field in rows_of(target_id, fields, self._field):
            self._object.map("fields").update(KEY.pack(key), field)

    def writes_since_before(self, boot: int) -> bool:
        """As `Loaded` says."""
        frame = MapValue(self._types, "frame")
        return any(
            frame.read(raw, "sp", at)[0]
            and frame.read(raw, "time", at)[0] < boot
            and (point := self._points[frame.read(raw, "point", at)[0]])
            and point.direction == Direction.WRITE
            for raw in self._object.map("threads").values()
            for at in range(0, len(raw), frame.size)
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

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        return self._points.crowded

    def _leave(self, leaving: Mapping[int, Attached]) -> None:
        """As `Loaded` says."""
        if self._servers:
            self._servers.end(leaving)

    def _forget(self, numbers: Collection[int]) -> None:
        """As `Loaded` says."""
        for number in numbers:
            self._points.remove(self._cookies.pop(number, []))
            for key in keys_of(number):
                self._object.map("fields").delete(KEY.pack(key))


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
