"""Files that give way to the next one: `events.ndjson` stays the newest, older ones carry the time they ended.

The names are those that eCapture's users have (its logger's): `events-2026-11-22T03-17-16.246.ndjson`, in UTC.
They sort by age, and a program that follows the file by name (`tail -F`) needs no rule of its own.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import PurePath
from typing import NamedTuple

from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.outputs import open_output
from pellucid.sink import ZSTD

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP}
"""What link(2) says where files have one name only (vfat, exfat)."""

_TIME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}"


class Limits(NamedTuple):
    """What makes a file give way, and an older one go."""

    size: float
    """Bytes that a file may have; 0 is no limit."""
    seconds: float
    """How old a file may become; 0 is no limit."""
    keep: int
    """Older files to keep, those of earlier runs among them; 0 keeps all."""


class RotatedFile:
    """One place. Its directory is opened once: whatever becomes of the path later, the files stay together."""

    def __init__(self, place: str, limits: Limits) -> None:
        self._place = place
        self._limits = limits
        path = PurePath(place)
        self._name = path.name
        self._stem, self._suffix = _split(path.name)
        try:
            self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PellucidError(f"cannot write to {place}: {error.strerror}") from error
        self._now: tuple[int, int] | None = None
        """Device and inode of the file that is being written."""
        self._since = math.inf
        """When it was opened (monotonic seconds)."""
        self._before = math.inf
        """Bytes of the file before it, if that was left because it was full. Infinite where there is none:
        then the file may be short."""
        self._refused = False
        """It was said that a file goes on."""

    def open(self) -> int:
        """The first file's descriptor, what it holds untouched; PellucidError as from `open_output`."""
        fd = open_output(self._name, place=self._place, directory=self._directory)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise PellucidError(f"cannot rotate {self._place}: it is not a regular file")
        self._take(fd)
        return fd

    def following(self, *, asked: bool = False) -> int:
        """Put the file aside, open the next one, and remove what is older than it may be.

        A file that is empty goes on, as does, where a process that may lie has `asked`, one that is neither full
        nor old: whoever could make many small files could have all that earlier runs left removed. A file that
        somebody else has moved is let alone. PellucidError where a file cannot be opened or moved.
        """
        try:
            if self._is_there():
                if not self._gives_way(asked=asked):
                    return self._go_on()
                self._put_aside()
            return self._open_new()
        except OSError as error:
            raise PellucidError(f"cannot rotate {self._place}: {error.strerror}") from error

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._directory)

    def _is_there(self) -> bool:
        """Whether the file still has its name; PellucidError where another file has it."""
        try:
            status = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) != self._now:
            raise PellucidError(f"cannot rotate {self._place}: another file has taken its place")
        return True

    def _gives_way(self, *, asked: bool) -> bool:
        """Whether the file may be put aside.

        A file is left before a message that would make it too large, and that message begins the next file: so one
        may be short, but two in a row hold more than one may.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # should it be a pipe by now
        fd = os.open(self._name, flags, dir_fd=self._directory)
        try:
            empty, size = not os.fstat(fd).st_size, _written(fd)
        finally:
            os.close(fd)
        old = 0 < self._limits.seconds <= time.monotonic() - self._since
        full = 0 < self._limits.size < self._before + size
        if empty or (asked and not (old or full)):
            return False
        self._before = math.inf if old or not asked else size
        return True

    def _go_on(self) -> int:
        """The same file once more, at its end."""
        fd = self.open()
        if os.lseek(fd, 0, os.SEEK_END) and not self._refused:
            self._refused = True
            log.warning("%s goes on: it is neither full nor old enough for another file", self._place)
        return fd

    def _put_aside(self) -> None:
        """Give the file a name with the time; the next millisecond's where that is taken."""
        milliseconds = time.time_ns() // 1_000_000
        while not self._moved_to(milliseconds):
            milliseconds += 1

    def _moved_to(self, milliseconds: int) -> bool:
        """Whether the name was free. Not by rename(2): it replaces what somebody has put there a moment ago."""
        seconds, rest = divmod(milliseconds, 1000)
        moment = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(seconds))
        name = f"{self._stem}-{moment}.{rest:03d}{self._suffix}"
        here = self._directory
        try:
            os.link(self._name, name, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if self._exists(name):
                return False
            os.rename(self._name, name, src_dir_fd=here, dst_dir_fd=here)
        else:
            os.unlink(self._name, dir_fd=here)
        return True

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _open_new(self) -> int:
        fd = open_output(self._name, place=self._place, directory=self._directory, new=True)
        try:
            self._take(fd)
            self._remove_old(os.fstat(fd).st_uid)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _take(self, fd: int) -> None:
        """Remember the file that is written from now on."""
        status = os.fstat(fd)
        self._now = status.st_dev, status.st_ino
        self._since = time.monotonic()

    def _remove_old(self, owner: int) -> None:
        """Remove what is too old; of files with such names those that belong to this owner, for /tmp is everybody's."""
        if not self._limits.keep:
            return
        ours = re.compile(f"{re.escape(self._stem)}-{_TIME}{re.escape(self._suffix)}")
        with os.scandir(self._directory) as entries:
            older = sorted(
                entry.name for entry in entries if ours.fullmatch(entry.name) and _is_file_of(owner, entry)
            )
        for name in older[: -self._limits.keep]:
            with suppress(FileNotFoundError):  # somebody else cleans up here too
                os.unlink(name, dir_fd=self._directory)


def _written(fd: int) -> int:
    """Bytes that are there, up to a hole: a file is long at no cost by truncate(2), or by a write far behind its end.

    It may begin with a hole, where somebody has emptied it meanwhile (`copytruncate`).
    """
    try:
        start = os.lseek(fd, 0, os.SEEK_DATA)
        return os.lseek(fd, start, os.SEEK_HOLE) - start
    except OSError as error:
        if error.errno == errno.ENXIO:
            return 0
        raise


def _is_file_of(owner: int, entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == owner
    except FileNotFoundError:  # somebody else cleans up here too
        return False


def _split(name: str) -> tuple[str, str]:
    """What stands before the time, and after it: `events` and `.ndjson.zst`."""
    packed = ZSTD if name.endswith(ZSTD) and name != ZSTD else ""
    stem, dot, kind = name.removesuffix(packed).rpartition(".")
    return (stem, f".{kind}{packed}") if dot and stem else (name.removesuffix(packed), packed)
