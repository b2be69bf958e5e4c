"""Files that somebody writes into while they are watched: their probes have to go at once.

The kernel keeps the instruction that it found under a probe, and executes that in every process that maps the
file from then on, whatever the file holds by then (kernel/events/uprobes.c, prepare_uprobe). Package managers
put another file in the place of the old one, which does no harm; `cp` does not. inotify(7) tells of writes.
"""

from __future__ import annotations

import ctypes
import os
from struct import Struct
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

# linux/inotify.h
IN_MODIFY = 2
IN_Q_OVERFLOW = 0x4000
_EVENT = Struct("iIII")  # watch, mask, cookie, bytes of a name: none, since no folder is watched
_ROOM = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class Overwrites:
    """The files that are to stay as they are, and who asks for each."""

    def __init__(self) -> None:
        self.fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        """Readable when there is something to `take`."""
        if self.fd < 0:
            raise PellucidError(f"inotify: {os.strerror(ctypes.get_errno())}")
        self._targets: dict[int, int] = {}

    def watch(self, path: Path, target: int) -> None:
        """Notice writes into the file of a target, by its number."""
        number = _libc.inotify_add_watch(self.fd, os.fsencode(path), IN_MODIFY)
        if number < 0:
            log.warning("writes into %s would not be noticed: %s", path, os.strerror(ctypes.get_errno()))
        else:
            self._targets[number] = target

    def take(self) -> Iterator[int]:
        """The targets whose files were written into since the last time, each told once only.

        All of them, where the kernel had no room to say which.
        """
        try:
            events = os.read(self.fd, _ROOM)
        except BlockingIOError:
            return
        for number, mask, _, _ in _EVENT.iter_unpack(events):
            if mask & IN_Q_OVERFLOW:
                written = [*self._targets]
            else:
                written = [number] if mask & IN_MODIFY and number in self._targets else []
            for each in written:
                _libc.inotify_rm_watch(self.fd, each)
                yield self._targets.pop(each)

    def forget(self, targets: Collection[int]) -> None:
        """Notice no more writes into the files of these targets."""
        for number in [number for number, target in self._targets.items() if target in targets]:
            _libc.inotify_rm_watch(self.fd, number)
            del self._targets[number]

    def close(self) -> None:
        """Notice nothing more."""
        os.close(self.fd)
