"""Targets get a number, sites and probes, one after the other, also while the capture runs."""

from __future__ import annotations

import hashlib
import resource
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.loader import find_fields, find_points, find_sites
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.model import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.images import Key
    from pellucid.attach.library import Library
    from pellucid.attach.loader import Tracing
    from pellucid.attach.points import Point
    from pellucid.attach.roster import Roster
    from pellucid.attach.sites import Site
    from pellucid.attach.targets import FoundTarget

_MOST_COPIED = 16 << 20
"""Bytes of a file that is read to see whether it is a copy: larger ones are programs, not libraries."""


class Plan(NamedTuple):
    """A target that can be attached to."""

    target: Target
    """What the decoder has to know before its first record."""
    found: FoundTarget
    points: list[Point]
    digest: bytes | None
    """Of the file's content, where that is the way to know a copy."""


class Places(NamedTuple):
    """Where the probes of a file go."""

    site: str
    """`inner` or `entry`: where those of its calls are."""
    points: list[Point]


class Attacher:
    """Plans and attaches; what was found out about a file holds for every file with the same bytes."""

    def __init__(self, tracing: Tracing, library: Library, *, entry_only: bool) -> None:
        self._tracing = tracing
        self._library = library
        self._entry_only = entry_only
        self._places: dict[bytes | None, Places] = {}
        self._fields: dict[bytes | None, Fields] = {}
        self._planned = 0

    def plan(self, found: FoundTarget) -> Plan:
        """Number it and choose its sites. PellucidError where the file is gone, or has none to offer."""
        digest = _digest(found.path) if found.how == "symbols" else None
        places = self._places.get(digest) or self._find_places(found)
        if digest:  # disassembled once for each content: 8 ms, and 0.6 ms for a copy of libssl
            self._places[digest] = places
        self._planned += 1
        target = Target(self._planned, found.library, found.display, places.site)
        return Plan(target, found, places.points, digest)

    def _find_places(self, found: FoundTarget) -> Places:
        sites = find_sites(found, self._library, entry_only=self._entry_only)
        _log_sites(found, sites)
        points = find_points(found, self._library, sites, entry_only=self._entry_only)
        return Places(sites[0].kind, points)

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        return self._tracing.crowded

    def detach(self, numbers: Collection[int]) -> None:
        """Leave these targets, by number."""
        for name in self._tracing.detach_targets(numbers):
            log.debug("watching %s no more: nobody uses it", name)

    def attach(self, plan: Plan) -> Target:
        """Put the probes there. PellucidError where that fails: then there are none.

        Where the library keeps things is looked for afterwards, which takes 20 ms more: bytes do not wait.
        """
        self._tracing.attach(plan.found, plan.target.id, plan.points)
        try:
            fields = self._fields.get(plan.digest) or find_fields(plan.found)
            self._tracing.describe(plan.target.id, fields)
        except PellucidError:
            self._tracing.detach_targets([plan.target.id])
            raise
        if plan.digest:
            self._fields[plan.digest] = fields
        return plan.target


class Arrivals:
    """Attaches to the targets of a roster as they turn up; until `close`.

    `introduce` tells the decoder of a target, which must know it when its first record comes; it returns
    false when that is not possible now. A target that vanishes meanwhile is no error.
    """

    def __init__(self, attacher: Attacher, roster: Roster, introduce: Callable[[Target], bool]) -> None:
        self._attacher = attacher
        self._roster = roster
        self._introduce = introduce
        self._waiting: deque[FoundTarget] = deque()
        self._numbers: dict[Key, int] = {}
        """Of the targets that are attached to."""
        self._refused = False
        _allow_many_files()
        self.close = roster.close
        self.filenos = roster.filenos

    def mapped(self) -> Iterator[Target]:
        """Attach to what is mapped by now; what `introduce` would say of it is the caller's."""
        for found in self._roster.mapped():
            try:
                target = self._attacher.attach(self._attacher.plan(found))
            except PellucidError as error:
                self._give_up(found, error)
            else:
                self._attached(found, target)
                yield target

    def meet(self) -> None:
        """Attach to what has turned up since the last call."""
        self._waiting.extend(self._roster.news())
        self._attach()

    def renew(self) -> None:
        """To be called every second or so: look again where the machine has changed, leave what is not used."""
        leaving = self._roster.retired(crowded=self._attacher.crowded)
        if leaving:
            self._attacher.detach([self._numbers.pop(key) for key in leaving])
        self._waiting.extend(self._roster.renew())
        self._attach()

    def _attach(self) -> None:
        while self._waiting:
            found = self._waiting[0]
            try:
                plan = self._attacher.plan(found)
                if not self._introduce(plan.target):
                    return
                self._attacher.attach(plan)
            except PellucidError as error:
                self._give_up(found, error)
            else:
                log.info("watching %s (%s) too", found.display, found.library)
                self._attached(found, plan.target)
            self._waiting.popleft()

    def _attached(self, found: FoundTarget, target: Target) -> None:
        self._numbers[found.key] = target.id
        self._roster.done(found)

    def _give_up(self, found: FoundTarget, why: PellucidError) -> None:
        """A file may vanish at any time; that the kernel takes no more probes is said once."""
        if isinstance(why, BpfError) and not self._refused:
            self._refused = True
            log.warning("%s is not watched: %s; further files may not be either", found.display, why)
        self._roster.forget(found, why)


def _allow_many_files() -> None:
    """Each file that is watched takes a descriptor for each program; the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _digest(path: Path) -> bytes | None:
    """SHA-256 of a file; None for a large one."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_COPIED + 1)
    except OSError as error:
        raise PellucidError(f"cannot read {path}: {error.strerror}") from error
    return hashlib.sha256(content).digest() if len(content) <= _MOST_COPIED else None


def _log_sites(target: FoundTarget, sites: list[Site]) -> None:
    for site in sites:
        log.debug(
            "%s: %s at %#x, %s, %s%s",
            target.display,
            site.symbol,
            site.offset,
            site.kind,
            "emulated" if site.emulated else "single-stepped",
            f" ({site.reason})" if site.reason else "",
        )
