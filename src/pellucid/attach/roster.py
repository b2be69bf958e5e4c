"""The files that a capture knows, and the new ones that turn up while it runs.

The kernel tells of each new executable mapping (`watch.py`). Nearly all are of files that are known, which
costs a look into a set. A stranger is examined at once by its symbols; what has to be read through for that
(a stripped program) goes to a thread, so that it holds up nobody.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.images import Image, Images, by_file, image_of
from pellucid.attach.pins import Pins
from pellucid.attach.targets import FoundTarget, by_code, by_symbols
from pellucid.attach.watch import Missed, Watch
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.attach.images import Area, Key
    from pellucid.attach.library import Library
    from pellucid.attach.watch import Mapping

_MOST_KNOWN = 1 << 16
"""Files, some 16 MiB: a machine that makes programs all day maps new ones without end."""


class Roster:
    """Files of one family that are mapped by everybody, or by one process; until `close`.

    `known` are files to pass over, for they are watched already. Without the kernel's word on new mappings
    (a line in the log says so) only `mapped` finds anything.
    """

    def __init__(self, library: Library, pid: int | None, known: Iterable[Key]) -> None:
        self._library = library
        self._pid = pid
        self._known = set(known)
        self._images = Images()
        self._watch = _watch()
        self._unsettled = False
        self._pins = Pins(self._images)
        self._reader = _Reader(library, self._pins)

    def close(self) -> None:
        """Look no further."""
        self._reader.close()
        if self._watch:
            self._watch.close()
        self._images.close()

    def filenos(self) -> set[int]:
        """For poll(2): one is readable when `news` has something to look at."""
        return {self._reader.fileno()} | ({self._watch.fileno()} if self._watch else set())

    def news(self) -> Iterator[FoundTarget]:
        """The targets among the files that were mapped since the last call.

        Each is held open, and its path is only good, until `done` or `forget` is called with it.
        """
        yield from self._reader.found()
        if self._watch is None:
            return
        strangers: list[Mapping] = []
        for new in self._watch.take():
            if isinstance(new, Missed):
                yield from self.mapped()
            elif self._pid in {None, new.area.pid} and not (new.proven and new.area.key in self._known):
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
        self._pins.release(target.key)

    def forget(self, target: FoundTarget, why: PellucidError) -> None:
        """It could not be attached to: look at it again when it turns up again."""
        log.debug("left out: %s: %s", target.display, why)
        self._known.discard(target.key)
        self.done(target)

    def _of_thread(self, tid: int, strangers: list[Mapping]) -> Iterator[FoundTarget]:
        """What a thread's process has mapped; what it had, by name, where it has ended."""
        areas = self._images.areas(tid)
        yield from self._look_at(self._unknown(areas))
        if not areas:
            yield from self._look_at(image for new in strangers if (image := self._by_name(new)))

    def _unknown(self, areas: list[Area]) -> Iterator[Image]:
        for each in by_file(areas):
            if each[0].key not in self._known and (image := image_of(each)):
                yield image

    def _by_name(self, new: Mapping) -> Image | None:
        """The file that a process had mapped which has ended: other processes may map it yet."""
        try:
            key = self._images.key(Path(new.name))
        except PellucidError:
            return None
        return Image(key, Path(new.name), new.name, ()) if new.proven and key == new.area.key else None

    def _look_at(self, images: Iterable[Image]) -> Iterator[FoundTarget]:
        for image in images:
            if image.key in self._known:
                continue
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            with _telling_why_not(image):
                pinned = self._pins.pin(image)
                if pinned is None:
                    self._unsettled = True
                    continue
                self._known.add(image.key)
                found = self._by_symbols(pinned)
                if found:
                    yield found
                else:
                    self._reader.read(pinned)

    def _by_symbols(self, image: Image) -> FoundTarget | None:
        try:
            return by_symbols(self._library, image)
        except PellucidError:
            self._pins.release(image.key)
            raise


class _Reader:
    """A thread that examines files thoroughly: it only reads and computes."""

    def __init__(self, library: Library, pins: Pins) -> None:
        self._library = library
        self._pins = pins
        self._images: queue.SimpleQueue[Image | None] = queue.SimpleQueue()
        self._found: deque[FoundTarget] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """Readable when `found` has something."""
        return self._ready

    def read(self, image: Image) -> None:
        """Examine it, some time."""
        self._images.put(image)

    def found(self) -> Iterator[FoundTarget]:
        """The targets found since the last call."""
        if self._found:
            os.eventfd_read(self._ready)
        while self._found:
            yield self._found.popleft()

    def close(self) -> None:
        """Take nothing more. A file that is being read is not waited for: that ends with the program."""
        self._images.put(None)

    def _run(self) -> None:
        while image := self._images.get():
            found = None
            with _telling_why_not(image):
                found = by_code(self._library, image)
            if isinstance(found, FoundTarget):
                self._found.append(found)
                os.eventfd_write(self._ready, 1)
                continue
            self._pins.release(image.key)
            if found:
                log.debug("%s cannot be watched: %s", found.display, found.reason)


@contextmanager
def _telling_why_not(image: Image) -> Iterator[None]:
    """A file that is gone, unreadable, or no ELF file is nothing to stop for."""
    try:
        yield
    except PellucidError as error:
        log.debug("left out: %s: %s", image.display, error)


def _watch() -> Watch | None:
    try:
        return Watch()
    except PellucidError as error:
        log.warning(
            "files that programs begin to use from now on are not seen: %s (see pellucid doctor)", error
        )
        return None
