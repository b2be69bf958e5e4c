"""Files that have to be read through, one after the other, by a thread: it only reads and computes.

A few are held open for it. The others wait as paths, for descriptors are few and a machine may map thousands
of stripped programs at once; whether a path still leads to its file is seen when its turn comes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pellucid.attach.targets import FoundTarget, by_code
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.attach.images import Image, Key
    from pellucid.attach.library import Library
    from pellucid.attach.pins import Pins

_MOST_OPEN = 16
"""Files, so that the thread need not wait, and what ends early is not lost when little is new."""


class Reader:
    """Examines files thoroughly. All but the examination is done in the caller's thread."""

    def __init__(self, library: Library, pins: Pins) -> None:
        self._library = library
        self._pins = pins
        self._waiting: dict[Key, Image] = {}
        self._images: queue.SimpleQueue[Image | None] = queue.SimpleQueue()
        self._open = 0
        self._done: deque[FoundTarget | None] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.lost: set[Key] = set()
        """Files that were not there any more when their turn came; for the caller to clear."""

    def fileno(self) -> int:
        """Readable when `found` has something, or has room."""
        return self._ready

    def read(self, image: Image, pinned: Image) -> None:
        """Examine it, some time: a file as it was found, and as it is held open."""
        if self._open < _MOST_OPEN:
            self._hand_over(pinned)
        else:
            self._pins.release(image.key)
            self._waiting[image.key] = image

    def found(self) -> Iterator[FoundTarget]:
        """The targets found since the last call."""
        with suppress(BlockingIOError):  # nothing yet, or what is done is not told yet
            os.eventfd_read(self._ready)
        while self._done:
            self._open -= 1
            target = self._done.popleft()
            if target:
                yield target
        while self._waiting and self._open < _MOST_OPEN:
            self._reopen(self._waiting.pop(next(iter(self._waiting))))

    def close(self) -> None:
        """Take nothing more. A file that is being read is not waited for: that ends with the program."""
        self._images.put(None)

    def _hand_over(self, pinned: Image) -> None:
        self._open += 1
        self._images.put(pinned)

    def _reopen(self, image: Image) -> None:
        pinned = None
        with telling_why_not(image):
            pinned = self._pins.pin(image)
        if pinned:
            self._hand_over(pinned)
        else:
            self.lost.add(image.key)

    def _run(self) -> None:
        while image := self._images.get():
            self._done.append(self._examine(image))
            os.eventfd_write(self._ready, 1)

    def _examine(self, image: Image) -> FoundTarget | None:
        found = None
        with telling_why_not(image):
            found = by_code(self._library, image)
        if isinstance(found, FoundTarget):
            return found
        self._pins.release(image.key)
        if found:
            log.debug("%s cannot be watched: %s", found.display, found.reason)
        return None


@contextmanager
def telling_why_not(image: Image) -> Iterator[None]:
    """A file that is gone, unreadable, or no ELF file is nothing to stop for: a debug line."""
    try:
        yield
    except PellucidError as error:
        log.debug("left out: %s: %s", image.display, error)
