"""An object in the kernel, and its links: what all of them have, whatever they are attached to."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pellucid.attach import follow
from pellucid.attach.overwrites import Overwrites
from pellucid.attach.values import MapValue
from pellucid.decode.btf import Btf
from pellucid.decode.layout import decoders
from pellucid.libbpf import (
    BpfObject,
    Link,
    attach_raw_tracepoint,
    close_links,
    has_uprobe_multi,
    possible_cpus,
    wait_for_programs,
)
from pellucid.model import LOSS_REASONS, RECORDS, Drops

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from pellucid.attach.filters import Filter

KEY = struct.Struct("<I")
_U64 = (1 << 64) - 1
_PROCESS_TRACEPOINTS = (("process_exit", "sched_process_exit"), ("process_exec", "sched_process_exec"))


class Attached(NamedTuple):
    """What a target has of its own; `detach_targets` gives it back."""

    name: str
    links: list[Link]


class Loaded:
    """Everything ends with `close`, or with this process."""

    lost_in: ClassVar[str] = ""
    """What stands behind a reason in `drops` where its programs count no bytes as lost, but something else."""

    def __init__(
        self,
        path: Path,
        ring_size: int,
        who: Filter,
        uprobes: Iterable[str],
        constants: Mapping[str, int] | None = None,
        unused: Iterable[str] = (),
    ) -> None:
        """`uprobes` are the names of the programs for targets, `constants` what the object has beside the filter's,
        `unused` the maps that need no room.
        """
        self._object = BpfObject(path)
        self.btf = self._object.btf()
        self._types = Btf(self.btf)
        decoders(self._types, RECORDS)  # refuses an object whose records are not those of pellucid.model
        self._who = who
        self._multi = has_uprobe_multi()
        self.overwrites = Overwrites()
        """Of the files that were attached to."""
        self._links: list[Link] = []
        """Those of no target."""
        self._attached: dict[int, Attached] = {}
        """By the number of the target."""
        self._object.map("ring").resize(ring_size)
        who.size_maps(self._object)
        for name in unused:
            self._object.map(name).resize(1)
        set_constants(self._object, self._types, {**who.constants(), **(constants or {})})
        if self._multi:
            for name in uprobes:
                self._object.program(name).for_uprobe_multi()
        self._object.load()
        who.fill(self._object)
        self.ring = self._object.map("ring")
        """What its records are in."""

    def attach_processes(self, *, forks: bool = False) -> None:
        """Hear of the ends of processes; with `forks`, and with `--follow`, of their beginnings too."""
        fork = (("process_fork", "sched_process_fork"),) if forks or self._who.follow else ()
        for program, tracepoint in (*_PROCESS_TRACEPOINTS, *fork):
            self._attach_tracepoint(program, tracepoint)

    def _attach_tracepoint(self, program: str, tracepoint: str) -> None:
        self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))

    def follow(self, pid: int) -> int:
        """Begin with this process and the descendants that it has; how many these are. PellucidError if there is none."""
        return len(follow.seed(self._object.map("followed"), pid)) - 1

    def follows_anybody(self) -> bool:
        """Whether a process that is to be followed is left."""
        return any(self._object.map("followed").values())

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        return False

    def detach_targets(self, numbers: Collection[int]) -> dict[int, str]:
        """Remove the probes of these files, and what else they have; the names of those that had any, by number.

        Their connections are closed with their processes, as ever.
        """
        leaving = {number: self._attached.pop(number) for number in numbers if number in self._attached}
        self._leave(leaving)
        close_links([link for each in leaving.values() for link in each.links])
        self.overwrites.forget(numbers)
        self._forget(numbers)
        return {number: each.name for number, each in leaving.items()}

    def _leave(self, leaving: Mapping[int, Attached]) -> None:
        """Undo what is beside the probes of these targets, before these go."""

    def _forget(self, numbers: Collection[int]) -> None:
        """Take targets out of the maps; their probes have gone."""

    def detach_overwritten(self) -> dict[int, str]:
        """Remove the probes of the files that somebody writes into; their names by number."""
        return self.detach_targets([*self.overwrites.take()])

    def stop(self) -> None:
        """From now on the programs record nothing: the ring holds all there is, and the totals are final.

        A program may be in the middle of a long call; where one cannot wait for it, detaching does.
        """
        self._object.map(".data.stop").update(KEY.pack(0), KEY.pack(1))
        if not wait_for_programs():
            self.detach()

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

    # --- what it has to tell: of connections there is nothing unless somebody counts them -----------------

    def drops(self) -> Drops:
        """What its programs have seen and lost (bpf/record.h) since the start, over all CPUs."""
        totals, cpus = MapValue(self._types, "totals"), possible_cpus()
        raw = self._object.map("totals").lookup(KEY.pack(0), cpus) or b""
        stride = len(raw) // cpus
        each = [raw[at : at + stride] for at in range(0, len(raw), stride)]
        lost = [
            sum(column) & _U64 for column in zip(*(totals.read(cpu, "lost") for cpu in each), strict=True)
        ]
        return Drops(
            seen_bytes=sum(totals.read(cpu, "seen")[0] for cpu in each) & _U64,
            lost=dict(zip((f"{reason}{self.lost_in}" for reason in LOSS_REASONS), lost, strict=True)),
            untracked_calls=sum(totals.read(cpu, "untracked")[0] for cpu in each),
            unfollowed_forks=sum(totals.read(cpu, "unfollowed")[0] for cpu in each),
        )

    def writes_since_before(self, boot: int) -> bool:  # noqa: ARG002
        """Whether a write that began before this boot time (ns) has not returned yet."""
        return False

    def offsets(self) -> Iterator[tuple[int, int, int]]:
        """(connection, bytes read, bytes written) of every connection that is still open."""
        return iter(())

    def unsaid_ends(self) -> Iterator[tuple[int, int, int]]:
        """The same of connections that have ended without room in the ring for saying so; each once."""
        return iter(())


def set_constants(bpf: BpfObject, types: Btf, constants: Mapping[str, int]) -> None:
    """Set what the programs may not change, by name, before the object is loaded."""
    variables, area = types.variables(".rodata"), bpf.map(".rodata").initial()
    for name, value in constants.items():
        variable = variables[name]
        area[variable.offset : variable.offset + variable.size] = value.to_bytes(variable.size, "little")


def ring_bytes(mapsize_kib: int) -> int:
    """Size of the ring: `mapsize` for each CPU, between 32 and 256 MiB, rounded up to a power of two.

    32 MiB hold a single call of 16 MiB with room to spare.
    """
    wanted = min(max(mapsize_kib * 1024 * possible_cpus(), 32 << 20), 256 << 20)
    return 1 << (wanted - 1).bit_length()
