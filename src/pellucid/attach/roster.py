"""The files that a capture knows, and the new ones that turn up while it runs.

The kernel tells of each new executable mapping (`watch.py`). Nearly all are of files that are known, which
costs a look into a set. A stranger is examined at once by its symbols; what has to be read through for that
(a stripped program) goes to a thread, so that it holds up nobody.
"""

from __future__ import annotations

import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.images import Image, Images, by_file, image_of
from pellucid.attach.pins import Pins
from pellucid.attach.reader import Reader, telling_why_not
from pellucid.attach.retirement import Retirement
from pellucid.attach.targets import by_symbols
from pellucid.attach.watch import Missed, Watch
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.attach.images import Area, Key
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.attach.watch import Mapping

_MOST_STRANGERS = 1 << 14
"""Files, some 4 MiB, which `memory.TRACER` has room for: a machine that makes programs all day maps new ones without end."""

_LOOK_S = 10.0
"""Seconds between two looks at who is still used, of which one takes some 5 us for each process."""


class Roster:
    """Files of one family that are mapped by everybody, or by one process; until `close`.

    `images` must outlive it. `known` are files to pass over, for they are watched already. Without the kernel's word on new mappings
    (a line in the log says so) only `mapped` finds anything.
    """

    def __init__(self, library: Library, images: Images, pid: int | None, known: Iterable[Key]) -> None:
        self._library = library
        self._pid = pid
        self._watched = set(known)
        self._strangers: set[Key] = set()
        self._images = images
        self._watch = _watch()
        self._unsettled = False
        self._pins = Pins(self._images)
        self._reader = Reader(library, self._pins)
        self._retirement = Retirement()
        self._look = time.monotonic() + _LOOK_S

    def close(self) -> None:
        """Look no further."""
        self._reader.close()
        if self._watch:
            self._watch.close()

    def filenos(self) -> set[int]:
        """For poll(2): one is readable when `news` has something to look at."""
        return {self._reader.fileno()} | ({self._watch.fileno()} if self._watch else set())

    def news(self) -> Iterator[FoundTarget]:
        """The targets among the files that were mapped since the last call.

        Each is held open, and its path is good, until `forget` is called with it, or `retired` names it.
        """
        yield from self._reader.found()
        self._forget_lost()
        if self._watch is None:
            return
        strangers: list[Mapping] = []
        for new in self._watch.take():
            if isinstance(new, Missed):
                yield from self.mapped()
            elif self._pid in {None, new.area.pid} and not (new.proven and self._is_known(new.area.key)):
                strangers.append(new)
        for tid, group in groupby(strangers, key=lambda new: new.area.tid):
            yield from self._of_thread(tid, list(group))

    def mapped(self) -> Iterator[FoundTarget]:
        """The targets among all files that are mapped now."""
        return self._look_at(self._images.mapped(self._pid))

    def renew(self) -> Iterator[FoundTarget]:
        """As `mapped`, where that may have more than `news`: to be asked every second or so.

        CPUs have come or gone, of which each tells for itself; or a file was replaced while it was looked at.
        """
        if self._watch and self._watch.outdated():
            self._watch.close()
            self._watch = _watch()
            self._unsettled = True
        if self._unsettled:
            self._unsettled = False
            yield from self.mapped()

    def done(self, target: FoundTarget) -> None:
        """It is attached to."""
        self._strangers.discard(target.key)
        self._retirement.add(target.key)

    def retired(self, *, crowded: bool) -> list[Key]:
        """The targets to be left now; they are strangers again, should they turn up once more.

        To be asked every second or so. When it is `crowded`, what is unused goes at once. No mapping can fall between
        the look at what is used and the forgetting: its news comes after it, through `news`.
        """
        now = time.monotonic()
        if not self._retirement or (now < self._look and not crowded):
            return []
        self._look = now + _LOOK_S
        in_use = {area.key for area in self._images.areas()}
        leaving = self._retirement.due(in_use, now, lambda key: crowded or self._pins.deleted(key))
        for key in leaving:
            self._pins.release(key)
        return leaving

    def forget(self, target: FoundTarget, why: PellucidError, *, again: bool) -> None:
        """It could not be attached to, or had to be left: look at it again when it turns up again.

        Not where its own code stands in the way: that will be the same with each program that starts.
        """
        log.debug("left out: %s: %s", target.display, why)
        if again:
            self._strangers.discard(target.key)
        self._watched.discard(target.key)
        self._retirement.remove(target.key)
        if target.key in self._pins:
            self._pins.release(target.key)

    def _forget_lost(self) -> None:
        """What was replaced before it was read through may turn up again, or be mapped still."""
        if self._reader.lost:
            self._strangers -= self._reader.lost
            self._reader.lost.clear()
            self._unsettled = True

    def _is_known(self, key: Key) -> bool:
        """Whether it is watched, being examined (these two are held open), or of no interest."""
        return key in self._strangers or key in self._pins or key in self._watched

    def _of_thread(self, tid: int, strangers: list[Mapping]) -> Iterator[FoundTarget]:
        """What a thread's process has mapped; what it had, by name, where it has ended."""
        areas = self._images.areas(tid)
        yield from self._look_at(self._unknown(areas))
        if not areas:
            yield from self._look_at(image for new in strangers if (image := self._by_name(new)))

    def _unknown(self, areas: list[Area]) -> Iterator[Image]:
        for each in by_file(areas):
            if not self._is_known(each[0].key) and (image := image_of(each)):
                yield image

    def _by_name(self, new: Mapping) -> Image | None:
        """The file that a process had mapped which has ended: other processes may map it yet."""
        if not new.proven:  # so the name cannot be held against anything: it is not even opened
            return None
        try:
            key = self._images.key(Path(new.name))
        except PellucidError:
            return None
        return Image(key, Path(new.name), new.name, ()) if key == new.area.key else None

    def _look_at(self, images: Iterable[Image]) -> Iterator[FoundTarget]:
        for image in images:
            if self._is_known(image.key):
                continue
            if len(self._strangers) >= _MOST_STRANGERS:
                self._strangers.clear()
            with telling_why_not(image):
                pinned = self._pins.pin(image)
                if pinned is None:
                    self._unsettled = True
                    continue
                self._strangers.add(image.key)
                found = self._by_symbols(pinned)
                if found:
                    yield found
                else:
                    self._reader.read(image, pinned)

    def _by_symbols(self, image: Image) -> FoundTarget | None:
        try:
            return by_symbols(self._library, image)
        except PellucidError:
            self._pins.release(image.key)
            raise


def _watch() -> Watch | None:
    try:
        return Watch()
    except PellucidError as error:
        log.warning(
            "files that programs begin to use from now on are not seen: %s (see pellucid doctor)", error
        )
        return None
