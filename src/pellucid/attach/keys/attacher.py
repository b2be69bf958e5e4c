"""Targets of a key log: each gets a probe where it logs its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.attacher import Attacher, Content
from pellucid.attach.code.emulation import cheap_place
from pellucid.attach.keys.secrets import find_key_log
from pellucid.attach.points import Point
from pellucid.attach.symbols import Elf
from pellucid.log import log

if TYPE_CHECKING:
    from pellucid.attach.attacher import Plan
    from pellucid.attach.keys.tracing import KeyTracing
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.model import Target


class KeyAttacher(Attacher):
    """Plans and attaches, one target after the other."""

    def __init__(self, tracing: KeyTracing, library: Library) -> None:
        super().__init__(tracing, library)
        self._older = tracing.older

    def attach(self, plan: Plan[Content]) -> Target:
        """Put the probes there; those for connections that are there already come last, so that none is missed."""
        target = super().attach(plan)
        if self._older:
            self._older.wait_for(plan.found, target.id)
        return target

    def look_into(self, found: FoundTarget) -> Content:
        """Where this file logs secrets. PellucidError where that is not proven."""
        with Elf(found.path) as elf:
            key_log = find_key_log(elf, found.functions)
            if key_log.jump is None:
                points = [Point("secret", elf.offset(cheap_place(elf, key_log.function)))]
            else:
                points = [Point("handed on", elf.offset(key_log.jump))]
            if key_log.rsa:
                points.append(Point("rsa", elf.offset(cheap_place(elf, key_log.rsa))))
        log.debug("%s: secrets at %#x, by its %s", found.display, key_log.function.offset, key_log.how)
        return Content("entry", points, {"client_random": (key_log.random,)})
