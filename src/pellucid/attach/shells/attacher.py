"""Shells get a number and probes, one after the other, also while the capture runs: what `Attacher` is for libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.attacher import Plan
from pellucid.attach.shells.find import ShellFile, examine
from pellucid.log import log
from pellucid.model import Target

if TYPE_CHECKING:
    from collections.abc import Collection

    from pellucid.attach.shells.tracing import ShellTracing
    from pellucid.attach.targets import FoundTarget
    from pellucid.probes.shell.probe import ShellProbe


class ShellAttacher:
    """Plans and attaches, one shell after the other."""

    def __init__(self, tracing: ShellTracing, probe: ShellProbe) -> None:
        self._tracing = tracing
        self._probe = probe
        self._planned = 0

    def plan(self, found: FoundTarget) -> Plan[ShellFile]:
        """Number it and look where it has what the probe needs. PellucidError where it has not."""
        shell = examine(self._probe, found.path, found.display)
        self._planned += 1
        return Plan(Target(self._planned, self._probe.name, found.display, "entry"), found, shell)

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more."""
        return self._tracing.crowded

    def detach(self, numbers: Collection[int]) -> None:
        """Leave these, by number."""
        for name in self._tracing.detach_targets(numbers).values():
            log.debug("watching %s no more: nobody uses it", name)

    def attach(self, plan: Plan[ShellFile]) -> Target:
        """Put the probes there. BpfError where that fails: then there are none."""
        self._tracing.attach(plan.found, plan.content, plan.target.id)
        return plan.target
