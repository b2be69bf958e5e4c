"""Load shell.bpf.o and attach it to shells: what `Tracing` is for libraries."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pellucid.attach import follow
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
from pellucid.model import RECORDS, SHELLS, Drops

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pellucid.attach.filters import Filter
    from pellucid.attach.shells.find import ShellFile
    from pellucid.attach.targets import FoundTarget
    from pellucid.probes.shell.probe import ShellProbe

_TRACEPOINTS = (("process_exit", "sched_process_exit"), ("process_exec", "sched_process_exec"))
_UPROBES = (
    "readline_called", "line_came_back", "line_expanded_returned", "command_read", "parameter_set",
    "readline_entered", "zle_entered", "line_returned", "line_given_up", "line_taken",
    "words_came_back", "command_returns", "builtin_entered", "function_entered", "it_returns", "code_entered",
)  # fmt: skip
_KEY = struct.Struct("<I")


class ShellTracing:
    """The loaded object and its links. Everything ends with `close`, or with this process."""

    def __init__(self, path: Path, ring_size: int, who: Filter, probe: ShellProbe) -> None:
        self._object = BpfObject(path)
        self.btf = self._object.btf()
        self._types = Btf(self.btf)
        decoders(self._types, RECORDS)  # refuses an object whose records are not those of pellucid.model
        self._who = who
        self._probe = probe
        self._multi = has_uprobe_multi()
        self.overwrites = Overwrites()
        """Of the files that were attached to."""
        self._links: list[Link] = []
        self._attached: dict[int, tuple[str, list[Link]]] = {}
        self._object.map("ring").resize(ring_size)
        who.size_maps(self._object)
        set_constants(self._object, self._types, who.constants())
        if self._multi:
            for name in _UPROBES:
                self._object.program(name).for_uprobe_multi()
        self._object.load()
        who.fill(self._object)
        self.ring = self._object.map("ring")

    def attach_tracepoints(self) -> None:
        """Attach what belongs to no shell: the ends of processes, and with `--follow` their beginnings."""
        forks = self._who.follow or self._probe.forks_tell
        fork = (("process_fork", "sched_process_fork"),) if forks else ()
        for program, tracepoint in (*_TRACEPOINTS, *fork):
            self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))

    def follow(self, pid: int) -> int:
        """As in `Tracing`."""
        return len(follow.seed(self._object.map("followed"), pid)) - 1

    def follows_anybody(self) -> bool:
        """As in `Tracing`."""
        return any(self._object.map("followed").values())

    @property
    def crowded(self) -> bool:
        """Whether more than half of the places are taken."""
        return len(self._attached) > self._object.map("shells").max_entries // 2

    def attach(self, found: FoundTarget, shell: ShellFile, number: int) -> None:
        """Attach to one shell, the target of that number. BpfError where the kernel refuses, and where there is no
        room for its variables: then there is no probe.
        """
        links: list[Link] = []
        self._attached[number] = found.display, links
        self.overwrites.watch(found.path, number)
        try:
            self._describe(shell, number)
            for program, offset in shell.sites:
                links += self._attach_site(program, found.path, Site(offset, number))
        except BpfError:
            self.detach_targets([number])
            raise

    def _describe(self, shell: ShellFile, number: int) -> None:
        values = {"shell": SHELLS.index(self._probe.name), **shell.variables}
        described = MapValue(self._types, "variables").write(**values)
        self._object.map("shells").update(_KEY.pack(number), described)

    def _attach_site(self, program: str, path: Path, site: Site) -> list[Link]:
        return attach_uprobes(
            self._object.program(program),
            str(path),
            [site],
            pid=self._who.only_pid or 0,
            at_return=program.endswith("_returned"),
            multi=self._multi,
        )

    def detach_targets(self, numbers: Collection[int]) -> dict[int, str]:
        """Remove the probes of these files; the names of those that had any, by number."""
        leaving = {number: self._attached.pop(number) for number in numbers if number in self._attached}
        close_links([link for _, links in leaving.values() for link in links])
        self.overwrites.forget(numbers)
        for number in leaving:
            self._object.map("shells").delete(_KEY.pack(number))
        return {number: name for number, (name, _) in leaving.items()}

    def detach_overwritten(self) -> dict[int, str]:
        """The same for the files that somebody writes into."""
        return self.detach_targets([*self.overwrites.take()])

    def stop(self) -> None:
        """From now on nothing is recorded: the ring holds all there is, and the totals are final.

        Detaching one after the other takes seconds where there are many shells, and would show half of what they do.
        """
        self._object.map(".data.stop").update(_KEY.pack(0), _KEY.pack(1))
        if not wait_for_programs():
            self._detach()

    def _detach(self) -> None:
        close_links([*self._links, *(link for _, links in self._attached.values() for link in links)])
        self._links.clear()
        self._attached.clear()

    def drops(self) -> Drops:
        """What was seen and lost since the start."""
        return drops_of(self._object, self._types)

    def close(self) -> None:
        """Remove every probe and free the object."""
        self._detach()
        self.overwrites.close()
        self._object.close()

    # --- what a capture of connections has to tell -------------------------------------------------

    def writes_since_before(self, _boot: int) -> bool:
        """Lines are read, not written: nothing is waited for."""
        return False

    def offsets(self) -> Iterator[tuple[int, int, int]]:
        """There are no connections."""
        return iter(())

    unsaid_ends = offsets
