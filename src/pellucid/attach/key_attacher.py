"""Targets of a key log: each gets a probe where it logs its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.attacher import Attacher, Content
from pellucid.attach.emulation import cheap_place
from pellucid.attach.points import Point
from pellucid.attach.secrets import find_key_log
from pellucid.attach.symbols import Elf
from pellucid.log import log

if TYPE_CHECKING:
    from pellucid.attach.targets import FoundTarget


class KeyAttacher(Attacher):
    """Plans and attaches, one target after the other."""

    def look_into(self, found: FoundTarget) -> Content:
        """Where this file logs secrets. PellucidError where that is not proven."""
        with Elf(found.path) as elf:
            key_log = find_key_log(elf, found.functions)
            points = [Point("secret", elf.offset(cheap_place(elf, key_log.function)))]
            if key_log.rsa:
                points.append(Point("rsa", elf.offset(cheap_place(elf, key_log.rsa))))
        log.debug("%s: secrets at %#x, by its %s", found.display, key_log.function.offset, key_log.how)
        return Content("entry", points, {"client_random": (key_log.random,)})
