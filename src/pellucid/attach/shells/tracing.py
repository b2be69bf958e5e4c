"""Load shell.bpf.o and attach it to shells: what `Tracing` is for libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pellucid.attach.loaded import KEY, Attached, Loaded
from pellucid.attach.values import MapValue
from pellucid.libbpf import (
    BpfError,
    Link,
    Site,
    attach_uprobes,
)
from pellucid.model import RECORDS_LOST, SHELLS

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pellucid.attach.filters import Filter
    from pellucid.attach.shells.find import ShellFile
    from pellucid.attach.targets import FoundTarget
    from pellucid.probes.shell.probe import ShellProbe

_UPROBES = (
    "readline_called", "line_came_back", "line_expanded_returned", "command_read", "parameter_set",
    "readline_entered", "zle_entered", "line_returned", "line_given_up", "line_taken",
    "words_came_back", "command_returns", "builtin_entered", "function_entered", "it_returns", "code_entered", "program_tried",
)  # fmt: skip


class ShellTracing(Loaded):
    """shell.bpf.o."""

    lost_in: ClassVar[str] = RECORDS_LOST

    def __init__(self, path: Path, ring_size: int, who: Filter, probe: ShellProbe) -> None:
        super().__init__(path, ring_size, who, _UPROBES)
        self._probe = probe

    @property
    def crowded(self) -> bool:
        """Whether more than half of the places are taken."""
        return len(self._attached) > self._object.map("shells").max_entries // 2

    def attach(self, found: FoundTarget, shell: ShellFile, number: int) -> None:
        """Attach to one shell, the target of that number. BpfError where the kernel refuses, and where there is no
        room for its variables: then there is no probe.
        """
        links: list[Link] = []
        self._attached[number] = Attached(found.display, links)
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
        self._object.map("shells").update(KEY.pack(number), described)

    def _attach_site(self, program: str, path: Path, site: Site) -> list[Link]:
        return attach_uprobes(
            self._object.program(program),
            str(path),
            [site],
            pid=self._who.only_pid or 0,
            at_return=program.endswith("_returned"),
            multi=self._multi,
        )

    def _forget(self, numbers: Collection[int]) -> None:
        """As `Loaded` says."""
        for number in numbers:
            self._object.map("shells").delete(KEY.pack(number))
