"""Load keylog.bpf.o and attach it to libraries: what `Tracing` is for plaintext."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from pellucid.attach.facts import keys_of, rows_of
from pellucid.attach.keys import established
from pellucid.attach.keys.established import OlderConnections
from pellucid.attach.loaded import KEY, Attached, Loaded
from pellucid.attach.values import MapValue
from pellucid.libbpf import (
    BpfError,
    Link,
    Site,
    attach_uprobes,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.attach.library import Library
    from pellucid.attach.points import Point
    from pellucid.attach.targets import FoundTarget
    from pellucid.model import Drops

HOOK = "secret_logged"
"""The program at all points."""

_TRACEPOINTS = (("process_exit", "sched_process_exit"), ("process_exec", "sched_process_exec"))
_HOOKS = {"secret": 0, "rsa": 1 << 32, "handed on": 1 << 33}
"""By kind of point, what the cookie has beside the target's number (bpf/secret.h)."""


class KeyTracing(Loaded):
    """keylog.bpf.o, or another object with its hook."""

    def __init__(
        self,
        path: Path,
        ring_size: int,
        who: Filter,
        uprobes: Iterable[str] = (HOOK, established.PROGRAM),
        constants: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(path, ring_size, who, uprobes, constants)
        self._field = MapValue(self._types, "field")
        self.older: OlderConnections | None = None
        """Connections that were there before the capture, where they are meant too."""

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
        self._attached[target_id] = Attached(target.display, links)
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
            self._object.map("fields").update(KEY.pack(key), field)

    def _leave(self, leaving: Mapping[int, Attached]) -> None:
        """As `Loaded` says."""
        if self.older:
            self.older.leave(leaving)

    def _forget(self, numbers: Collection[int]) -> None:
        """As `Loaded` says."""
        for key in (key for number in numbers for key in keys_of(number)):
            self._object.map("fields").delete(KEY.pack(key))

    def drops(self) -> Drops:
        """As `Loaded` says, and how many older connections were not read."""
        drops = super().drops()
        return replace(drops, unread_older=self.older.unread) if self.older else drops

    def stop(self) -> None:
        """As `Loaded` says; older connections are waited for no longer."""
        super().stop()
        if self.older:
            self.older.finish()

    def detach(self) -> None:
        """As `Loaded` says."""
        if self.older:
            self.older.finish()
        super().detach()
