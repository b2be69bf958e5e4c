"""Buffered writing to a descriptor that the privileged process opened."""

from __future__ import annotations

import os
import select
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER_LIMIT = 256 * 1024
"""Bytes kept before they are written unasked: four default pipes full, far above the cost of a call."""


class OutputClosed(Exception):  # noqa: N818 - not an error
    """Not an error: the reader (`| head`) has what it wanted, and the program ends with status 0."""


class Output:
    """Owns one file descriptor; keeps up to BUFFER_LIMIT bytes until they are flushed.

    Every method raises OutputClosed when the reader of a pipe is gone, and PellucidError ("cannot write
    to NAME: REASON") on any other failure. What was buffered then is dropped: it has been reported once.
    """

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self._fd = fd
        self._buffer = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes; they reach the kernel at the next flush or when the buffer is full.

        More than the buffer may hold is written at once: a copy would double the memory of a long message.
        """
        if len(data) > BUFFER_LIMIT:
            self.flush()
            self._write_through(data)
            return
        self._buffer += data
        if len(self._buffer) > BUFFER_LIMIT:
            self.flush()

    def flush(self) -> None:
        """Write all that is buffered, waiting for a slow reader."""
        with self._reporting():
            while self._buffer:
                # A short write is no error by itself: on a full disk the next one says ENOSPC.
                del self._buffer[: self._send(self._buffer)]

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

    def _write_through(self, data: bytes | bytearray | memoryview) -> None:
        at = 0
        with self._reporting(), memoryview(data) as view:
            while at < len(view):
                at += self._send(view[at:])

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
            self._buffer.clear()
            raise PellucidError(f"cannot write to {self.name}: {error.strerror}") from error
