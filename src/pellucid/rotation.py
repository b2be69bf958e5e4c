"""Files that give way to the next one: `events.ndjson` stays the newest, older ones carry the time they ended.

The names are those that eCapture's users have (its logger's): `events-2026-11-22T03-17-16.246.ndjson`, in UTC.
They sort by age, and a program that follows the file by name (`tail -F`) needs no rule of its own.
"""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import PurePath

from pellucid.errors import PellucidError
from pellucid.outputs import open_output
from pellucid.sink import ZSTD

_TIME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}"


class RotatedFile:
    """One place. Its directory is opened once: whatever becomes of the path later, the files stay together."""

    def __init__(self, place: str, keep: int) -> None:
        self._place = place
        self._keep = keep
        """Older files to keep; 0 keeps all."""
        path = PurePath(place)
        self._name = path.name
        self._stem, self._suffix = _split(path.name)
        try:
            self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PellucidError(f"cannot write to {place}: {error.strerror}") from error
        self._now: tuple[int, int] | None = None
        """Device and inode of the file that is being written."""

    def open(self) -> int:
        """The first file's descriptor, what it holds untouched; PellucidError as from `open_output`."""
        fd = open_output(self._name, place=self._place, directory=self._directory)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise PellucidError(f"cannot rotate {self._place}: it is not a regular file")
        self._now = status.st_dev, status.st_ino
        return fd

    def following(self) -> int:
        """Put the file aside, open the next one, and remove what is older than it may be.

        A file that is empty is not put aside: nothing that the decoder asks for makes any number of files. A
        file that somebody else has moved is let alone. PellucidError where a file cannot be opened or moved.
        """
        try:
            if not self._put_aside():
                return self.open()
            fd = self._open_new()
            self._remove_old(os.fstat(fd).st_uid)
        except OSError as error:
            raise PellucidError(f"cannot rotate {self._place}: {error.strerror}") from error
        return fd

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._directory)

    def _put_aside(self) -> bool:
        """Whether the name is free now."""
        try:
            status = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if (status.st_dev, status.st_ino) != self._now:
            raise PellucidError(f"cannot rotate {self._place}: another file has taken its place")
        if not status.st_size:
            return False
        os.rename(self._name, self._free_name(), src_dir_fd=self._directory, dst_dir_fd=self._directory)
        return True

    def _free_name(self) -> str:
        """A name with the time; the next millisecond's where that is taken."""
        milliseconds = time.time_ns() // 1_000_000
        while True:
            seconds, rest = divmod(milliseconds, 1000)
            moment = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(seconds))
            name = f"{self._stem}-{moment}.{rest:03d}{self._suffix}"
            if not self._exists(name):
                return name
            milliseconds += 1

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _open_new(self) -> int:
        fd = open_output(self._name, place=self._place, directory=self._directory, new=True)
        status = os.fstat(fd)
        self._now = status.st_dev, status.st_ino
        return fd

    def _remove_old(self, owner: int) -> None:
        """Remove what is too old; of files with such names those that belong to this owner, for /tmp is everybody's."""
        if not self._keep:
            return
        ours = re.compile(f"{re.escape(self._stem)}-{_TIME}{re.escape(self._suffix)}")
        with os.scandir(self._directory) as entries:
            older = sorted(
                entry.name for entry in entries if ours.fullmatch(entry.name) and _is_file_of(owner, entry)
            )
        for name in older[: -self._keep]:
            os.unlink(name, dir_fd=self._directory)


def _is_file_of(owner: int, entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == owner


def _split(name: str) -> tuple[str, str]:
    """What stands before the time, and after it: `events` and `.ndjson.zst`."""
    packed = ZSTD if name.endswith(ZSTD) and name != ZSTD else ""
    stem, dot, kind = name.removesuffix(packed).rpartition(".")
    return (stem, f".{kind}{packed}") if dot and stem else (name.removesuffix(packed), packed)
