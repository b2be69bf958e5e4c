"""Targets get a number, sites and probes, one after the other, also while the capture runs."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from pellucid.attach.images import Image
from pellucid.attach.loader import find_fields, find_points, find_sites
from pellucid.attach.pins import Pins
from pellucid.attach.plain import at_sockets
from pellucid.clock import boot_ns
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.model import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pellucid.attach.facts import Fields
    from pellucid.attach.images import Images
    from pellucid.attach.library import Library
    from pellucid.attach.points import Point
    from pellucid.attach.sites import Site
    from pellucid.attach.targets import FoundTarget

C = TypeVar("C")

_MOST_COPIED = 16 << 20
"""Bytes of a file that is read to see whether it is a copy: larger ones are programs, not libraries."""

_MOST_KEPT = 64
"""Different contents that are remembered, some 10 KiB each: copies come with the containers of one image."""


@dataclass
class Content:
    """What was found out about a file; it holds for every file with the same bytes."""

    site: str
    """`inner` or `entry`: where the probes of its calls go; `socket`: only those that encrypt have any."""
    points: list[Point]
    fields: Fields | None = None
    """Where the library keeps what is known of a connection; None until somebody has looked."""


class Plan(NamedTuple, Generic[C]):
    """A target that can be attached to."""

    target: Target
    """What the decoder has to know before its first record."""
    found: FoundTarget
    content: C
    """What was found in it."""


class Attaches(Protocol[C]):
    """Whoever can plan and attach."""

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        ...

    def plan(self, found: FoundTarget, /) -> Plan[C]:
        """Number it and see what is needed. PellucidError where it cannot be attached to."""
        ...

    def attach(self, plan: Plan[C], /) -> Target:
        """Put the probes there. BpfError where that fails: then there are none."""
        ...

    def detach(self, numbers: Collection[int], /) -> None:
        """Leave these targets, by number."""
        ...


class Attaching(Protocol):
    """A loaded object, as far as targets are concerned."""

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more."""
        ...

    def attach(self, target: FoundTarget, target_id: int, points: list[Point]) -> None:
        """Attach to every point of one file, or raise BpfError and to none."""
        ...

    def describe(self, target_id: int, fields: Fields) -> None:
        """Tell the programs where the connection objects of a target keep things. BpfError: there is no room."""
        ...

    def detach_targets(self, target_ids: Collection[int]) -> dict[int, str]:
        """Remove the probes of these files; the names of those that had any, by number."""
        ...


class Attacher:
    """Plans and attaches, one target after the other."""

    def __init__(
        self, tracing: Attaching, library: Library, *, entry_only: bool = False, plain: bool = False
    ) -> None:
        """With `plain`, plaintext is seen at sockets where that is possible."""
        self._tracing = tracing
        self._plain = plain
        self._library = library
        self._entry_only = entry_only
        self._contents: dict[bytes, Content] = {}
        """The latest ones by their digest: disassembled once, which takes 8 ms, and 0.6 ms for a copy of libssl."""
        self._planned = 0

    def plan(self, found: FoundTarget) -> Plan[Content]:
        """Number it and choose its sites. PellucidError where the file is gone, or has none to offer.

        Its path must lead to just the file that was examined: see `attach_first` and `Roster.news`.
        """
        content = self._content(found)
        self._planned += 1
        target = Target(self._planned, found.library, found.display, content.site, role=self._library.role)
        return Plan(target, found, content)

    def _content(self, found: FoundTarget) -> Content:
        digest = _digest(found.path) if found.how == "symbols" else None
        if digest is None:
            return self.look_into(found)
        if digest not in self._contents:
            content = self.look_into(found)
            if len(self._contents) >= _MOST_KEPT:
                del self._contents[next(iter(self._contents))]
            self._contents[digest] = content
        return self._contents[digest]

    def look_into(self, found: FoundTarget) -> Content:
        """Where the probes of this file go. PellucidError where there is no such place."""
        at_its_sockets = at_sockets(found, self._library) if self._plain else None
        library = at_its_sockets or self._library
        sites = find_sites(found, library, entry_only=self._entry_only)
        _log_sites(found, sites)
        points = find_points(found, library, sites, entry_only=self._entry_only)
        return Content("socket" if at_its_sockets else sites[0].kind, points)

    @property
    def crowded(self) -> bool:
        """Whether there is little room for more targets."""
        return self._tracing.crowded

    def detach(self, numbers: Collection[int]) -> None:
        """Leave these targets, by number."""
        for name in self._tracing.detach_targets(numbers).values():
            log.debug("watching %s no more: nobody uses it", name)

    def attach(self, plan: Plan[Content]) -> Target:
        """Put the probes there. BpfError where that fails: then there are none.

        Where the library keeps things is told before, so that the first connection has it too. Only in a file
        with new content it is looked for afterwards, which takes 20 ms more: bytes do not wait.
        """
        fields = plan.content.fields
        if fields is not None:
            self._describe(plan, fields)
        self._tracing.attach(plan.found, plan.target.id, plan.content.points)
        if fields is None:
            plan.content.fields = fields = _fields(plan.found)
            self._describe(plan, fields)
        return replace(plan.target, since=boot_ns()) if self._library.own_process else plan.target

    def _describe(self, plan: Plan[Content], fields: Fields) -> None:
        """Bytes are seen without it."""
        try:
            self._tracing.describe(plan.target.id, fields)
        except BpfError as error:
            log.debug("%s: not all is known of its sessions: %s", plan.found.display, error)


def attach_first(
    attacher: Attaches[C], images: Images, targets: Iterable[FoundTarget], *, demanded: bool
) -> list[tuple[FoundTarget, Target]]:
    """Attach to files that were examined by name some time ago; those that it worked with.

    `demanded` makes PellucidError of each that fails; else only that the kernel takes no probe at all is an error.
    """
    attached: list[tuple[FoundTarget, Target]] = []
    failure: PellucidError | None = None
    pins = Pins(images)
    for found in targets:
        try:
            with _held(pins, found) as same:
                attached.append((found, attacher.attach(attacher.plan(same))))
        except PellucidError as error:
            if demanded:
                raise
            log.warning("%s is not watched: %s", found.display, error)
            failure = error
    if isinstance(failure, BpfError) and not attached:
        raise failure
    return attached


@contextmanager
def _held(pins: Pins, found: FoundTarget) -> Iterator[FoundTarget]:
    """The target by a path that nobody can put another file behind.

    PellucidError where its own name leads to another one by now: in that, the probes of the old file would be in
    the middle of instructions.
    """
    pinned = pins.pin(Image(found.key, found.path, found.display, ()))
    if pinned is None:
        raise PellucidError(f"{found.display} was replaced while the capture began: start it again")
    try:
        yield found._replace(path=pinned.path)
    finally:
        pins.release(found.key)


def _fields(found: FoundTarget) -> Fields:
    """Where the library keeps things; nothing where that cannot be told: only roles and the like depend on it."""
    try:
        return find_fields(found)
    except PellucidError as error:
        log.debug("%s: nothing is known of its sessions: %s", found.display, error)
        return {}


def _digest(path: Path) -> bytes | None:
    """SHA-256 of a file; None for a large one."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_COPIED:
                return None
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise PellucidError(f"cannot read {path}: {error.strerror}") from error


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
