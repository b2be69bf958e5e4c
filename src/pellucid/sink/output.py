"""Buffered writing to a descriptor that the privileged process opened."""

from __future__ import annotations

import os
import select
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUFFER_LIMIT = 256 * 1024
"""Bytes kept before they are written unasked: four default pipes full, far above the cost of a call."""


class OutputClosed(Exception):  # noqa: N818 - not an error
    """Not an error: the reader (`| head`) has what it wanted, and the program ends with status 0."""


class Missed(NamedTuple):
    """What a reader was too slow for."""

    messages: int
    size: int
    """Bytes of them, as they would have been sent."""


class Rotation(NamedTuple):
    """When a file gives way to the next one."""

    size: float
    """Bytes that a file may have; 0 is no limit. One message alone may have more."""
    seconds: float
    """How long after its beginning a message begins the next one; 0 is never."""
    following: Callable[[], int | None]
    """The next file's descriptor; None when it cannot be had any more, and the present one goes on."""

    def is_due(self, size: float, age: float) -> bool:
        """Whether a file would be too large, or is too old."""
        return bool((self.size and size > self.size) or (self.seconds and age >= self.seconds))


class Output:
    """Owns one file descriptor; keeps up to BUFFER_LIMIT bytes until they are flushed.

    Every method raises OutputClosed when the reader of a pipe is gone, and PellucidError ("cannot write
    to NAME: REASON") on any other failure. What was buffered then is dropped: it has been reported once. After
    the latter a regular file ends with its last whole message, and takes nothing more: what is missing is
    missing at its end, and a later message that is short enough cannot hide that.
    """

    framed = False
    """Whether messages are kept apart by the output itself."""

    _foresees_size = True
    """Whether a message takes as many bytes of the file as it has."""

    def __init__(self, fd: int, name: str, rotation: Rotation | None = None) -> None:
        self.name = name
        self._fd = fd
        self._buffer = bytearray()
        self._failed = False
        self._rotation = rotation
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self._ends = [0]
        """Where messages end, counted as `_size` is: the last one that is written whole, and those buffered behind it."""
        self._since = time.monotonic()
        self._has_messages = False

    def following(self, size: int, flush: Callable[[], None]) -> int | None:
        """The next file's descriptor for `turn`, if a message of so many bytes is to begin it; else None.

        `flush` writes what belongs into this file: a next one is made only for a file that is seen to be full.
        """
        if self._rotation is None:
            return None
        age = time.monotonic() - self._since
        expected = self._size + (size if self._foresees_size else 0)
        due = self._has_messages and self._rotation.is_due(expected, age)
        self._has_messages = True
        if not due:
            return None
        flush()
        return self._rotation.following()

    def turn(self, fd: int) -> None:
        """Close this file, and go on in that one."""
        self.close()
        self._fd = fd
        self._begin()
        self._has_messages = True

    def missed(self) -> Missed | None:
        """What the reader was too slow for, once there is room to say it; None where it is waited for."""

    def settle(self) -> None:
        """Hand everything to the reader, as far as it takes it."""
        self.flush()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes; they reach the kernel at the next flush or when the buffer is full.

        What is given at once stays together where an output keeps messages apart, drops them, or is full. More than the
        buffer may hold is written at once: a copy would double the memory of a long message.
        """
        self._append(data)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        if self._failed:
            return
        if len(data) > BUFFER_LIMIT:
            self._drain()
            self._write_through(data, _none)
            return
        self._buffer += data
        self._size += len(data)
        self._ends.append(self._size)
        if len(self._buffer) > BUFFER_LIMIT:
            self._drain()

    def flush(self) -> None:
        """Write all that is buffered, waiting for a slow reader."""
        self._drain()

    def _drain(self) -> None:
        if not self._buffer:
            return
        with self._reporting():
            try:
                while self._buffer:
                    # A short write is no error by itself: on a full disk the next one says ENOSPC.
                    del self._buffer[: self._send(self._buffer)]
            except OSError:
                written = self._size - len(self._buffer)
                self._cut_off(written - max(end for end in self._ends if end <= written))
                raise
        self._ends = [self._size]

    def write_whole(self, data: bytes | bytearray | memoryview, whole: Callable[[memoryview], int]) -> None:
        """Write at once, and where that fails in the middle, cut off a regular file what is not whole.

        `whole` tells how many of the bytes that were written are. One write(2) where the system takes everything.
        """
        self._drain()
        self._write_through(data, whole)

    def _write_through(
        self, data: bytes | bytearray | memoryview, whole: Callable[[memoryview], int]
    ) -> None:
        if self._failed:
            return
        done = 0
        with self._reporting(), memoryview(data) as view:
            try:
                while done < len(view):
                    done += self._send(view[done:])
            except OSError:
                self._cut_off(done - whole(view[:done]))
                raise
        self._size += len(data)
        self._ends = [self._size]

    def _cut_off(self, size: int) -> None:
        """Take the last bytes away again; of what was handed to a pipe nothing can be, nor before what others appended."""
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            return
        end = os.lseek(self._fd, 0, os.SEEK_CUR)
        if end == status.st_size:
            os.ftruncate(self._fd, end - size)
            os.lseek(self._fd, end - size, os.SEEK_SET)  # for a shell that goes on in this file (`> FILE`)

    def overwrite(self, data: bytes, at: int) -> None:
        """Replace what the file holds from offset `at` on, as far as `data` reaches; nothing is buffered.

        One pwrite(2) where the system takes everything at once, as it does for regular files with room.
        """
        with self._reporting(), memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(self._fd, view[done:], at + done)
        self._size = at + len(data)

    def truncate(self, size: int) -> None:
        """Cut off what follows the first `size` bytes."""
        with self._reporting():
            os.ftruncate(self._fd, size)
        self._size = size

    def require_rewritable(self, format: str) -> None:
        """Raise PellucidError where the file is a pipe or a device, for a format that uses `overwrite`."""
        with self._reporting():
            regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        if not regular:
            raise PellucidError(
                f"cannot write {format} to {self.name}: name a regular file, which can be rewritten"
            )

    def close(self) -> None:
        """Flush and close the descriptor; closing again does nothing."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            fd, self._fd = self._fd, -1
            with self._reporting():
                os.close(fd)  # NFS and quotas may refuse only here (close(2))

    def _send(self, data: bytearray | memoryview) -> int:
        """Bytes taken by one write(2). Python itself repeats it after EINTR (PEP 475)."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            # Another program sharing our terminal or pipe has set O_NONBLOCK on it.
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll()
            return 0

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # an error and not a signal: Python ignores SIGPIPE
            self._buffer.clear()
            raise OutputClosed(self.name) from None
        except OSError as error:
            self._failed = True
            self._buffer.clear()
            raise PellucidError(f"cannot write to {self.name}: {error.strerror}") from error


def _none(_written: memoryview) -> int:
    """Of a single message that was not written to its end nothing is whole."""
    return 0
