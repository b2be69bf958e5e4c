"""Load keylog.bpf.o and attach it to libraries: what `Tracing` is for plaintext."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from pellucid.attach import follow
from pellucid.attach.facts import keys_of, rows_of
from pellucid.attach.keys import established
from pellucid.attach.keys.established import OlderConnections
from pellucid.attach.loader import drops_of, set_constants
from pellucid.attach.overwrites import Overwrites
from pellucid.attach.values import MapValue
from pellucid.decode.btf import Btf
from pellucid.decode.layout import decoders
from pellucid.libbpf import (
    BpfError,
    BpfObject,
    Link,
    Site,
    attach_raw_tracepoint,
    attach_uprobes,
    close_links,
    has_uprobe_multi,
    wait_for_programs,
)
from pellucid.model import RECORDS, Drops

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.attach.library import Library
    from pellucid.attach.points import Point
    from pellucid.attach.targets import FoundTarget

HOOK = "secret_logged"
"""The program at all points."""

_TRACEPOINTS = (("process_exit", "sched_process_exit"), ("process_exec", "sched_process_exec"))
_HOOKS = {"secret": 0, "rsa": 1 << 32, "handed on": 1 << 33}
"""By kind of point, what the cookie has beside the target's number (bpf/secret.h)."""
_KEY = struct.Struct("<I")


class KeyTracing:
    """The loaded object and its links. Everything ends with `close`, or with this process."""

    _uprobes: ClassVar[tuple[str, ...]] = (HOOK, established.PROGRAM)
    """The programs of the object that are for libraries."""

    def __init__(
        self, path: Path, ring_size: int, who: Filter, constants: Mapping[str, int] | None = None
    ) -> None:
        """`constants` are those that the object has beside the filter's."""
        self._object = BpfObject(path)
        self.btf = self._object.btf()
        self._types = Btf(self.btf)
        decoders(self._types, RECORDS)  # refuses an object whose records are not those of pellucid.model
        self._who = who
        self._multi = has_uprobe_multi()
        self.overwrites = Overwrites()
        """Of the files that were attached to."""
        self._links: list[Link] = []
        self._attached: dict[int, tuple[str, list[Link]]] = {}
        """By the number of the target."""
        self._object.map("ring").resize(ring_size)
        who.size_maps(self._object)
        set_constants(self._object, self._types, {**who.constants(), **(constants or {})})
        if self._multi:
            for name in self._uprobes:
                self._object.program(name).for_uprobe_multi()
        self._object.load()
        who.fill(self._object)
        self.ring = self._object.map("ring")
        self._field = MapValue(self._types, "field")
        self.older: OlderConnections | None = None
        """Connections that were there before the capture, where they are meant too."""

    def attach_tracepoints(self) -> None:
        """Attach what belongs to no library: the ends of processes, and with `--follow` their beginnings."""
        fork = (("process_fork", "sched_process_fork"),) if self._who.follow else ()
        for program, tracepoint in (*_TRACEPOINTS, *fork):
            self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))

    def follow(self, pid: int) -> int:
        """As in `Tracing`."""
        return len(follow.seed(self._object.map("followed"), pid)) - 1

    def follows_anybody(self) -> bool:
        """As in `Tracing`."""
        return any(self._object.map("followed").values())

    def look_back(self, library: Library, images: Images, seconds: float) -> None:
        """Read the secrets of connections as well that a target has when it is attached to, for so long."""
        pid = self._who.only_pid
        self.older = OlderConnections(
            self._object, self.describe, library, images, seconds, pid=pid, multi=self._multi
        )

    def attach(self, target: FoundTarget, target_id: int, points: list[Point]) -> None:
        """Attach to the functions of one file that log secrets, or raise BpfError and to none."""
        self.overwrites.watch(target.path, target_id)
        links: list[Link] = []
        self._attached[target_id] = target.display, links
        sites = [Site(point.offset, target_id | _HOOKS[point.kind]) for point in points]
        try:
            links += attach_uprobes(
                self._object.program(HOOK),
                str(target.path),
                sites,
                pid=self._who.only_pid or 0,
                at_return=False,
                multi=self._multi,
            )
        except BpfError:
            self.detach_targets([target_id])
            raise

    def describe(self, target_id: int, fields: Fields) -> None:
        """Tell the program where the connection objects of a target keep things. BpfError: there is no room."""
        for key, field in rows_of(target_id, fields, self._field):
            self._object.map("fields").update(_KEY.pack(key), field)

    @property
    def crowded(self) -> bool:
        """Targets take no room of each other's."""
        return False

    def detach_targets(self, target_ids: Collection[int]) -> dict[int, str]:
        """Remove the probes of these files, and what else they have; the names of those that had any, by number."""
        leaving = {number: self._attached.pop(number) for number in target_ids if number in self._attached}
        if self.older:
            self.older.leave(leaving)
        close_links([link for _, links in leaving.values() for link in links])
        self.overwrites.forget(target_ids)
        for key in (key for number in target_ids for key in keys_of(number)):
            self._object.map("fields").delete(_KEY.pack(key))
        return {number: name for number, (name, _) in leaving.items()}

    def detach_overwritten(self) -> dict[int, str]:
        """Remove the probes of the files that somebody writes into; their names by number."""
        return self.detach_targets([*self.overwrites.take()])

    def stop(self) -> None:
        """From now on nothing is recorded: the ring holds all there is, and the totals are final."""
        self._object.map(".data.stop").update(_KEY.pack(0), _KEY.pack(1))
        if not wait_for_programs():
            self.detach()
        elif self.older:
            self.older.finish()

    def drops(self) -> Drops:
        """What was seen and lost since the start."""
        drops = drops_of(self._object, self._types)
        return replace(drops, unread_older=self.older.unread) if self.older else drops

    def detach(self) -> None:
        """Remove every probe."""
        if self.older:
            self.older.finish()
        close_links([*self._links, *(link for _, links in self._attached.values() for link in links)])
        self._links.clear()
        self._attached.clear()

    def close(self) -> None:
        """Remove every probe and free the object."""
        self.detach()
        self.overwrites.close()
        self._object.close()

    # --- what a capture of connections has to tell -------------------------------------------------

    def writes_since_before(self, _boot: int) -> bool:
        """Nothing that is written is waited for."""
        return False

    def offsets(self) -> Iterator[tuple[int, int, int]]:
        """Connections are not counted."""
        return iter(())

    unsaid_ends = offsets
