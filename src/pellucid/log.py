"""The log: what Pellucid says about itself, on stderr or in a file, never between the events.

The standard library's: structlog takes a quarter of the start-up time (124 of 290 ms, measured) for
a log of a few lines.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from mmap import mmap
from typing import TYPE_CHECKING, TextIO

from pellucid.errors import PellucidError
from pellucid.escape import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("pellucid")

ERASE = "\r\x1b[K"
"""Go to the beginning of the terminal's line and empty it (ECMA-48 EL). On a terminal each line of the log begins with it, in
the same write: a line of `counter.py`, whichever process drew it, is gone then."""


def configure(*, debug: bool, path: Path | None) -> None:
    """Send the log to the end of `path`, or to stderr, which also gets what that file has no room for."""
    log.handlers = [_to_stderr() if path is None else _formatted(_File(_append(path), path))]
    log.propagate = False
    log.setLevel(logging.DEBUG if debug else logging.INFO)


def log_also_to(take: Callable[[str], None]) -> Callable[[], None]:
    """Hand each line, without its end, to `take` as well, until what is returned is called."""
    handler = _formatted(_Lines(take))
    log.addHandler(handler)
    return lambda: log.removeHandler(handler)


def log_fds() -> list[int]:
    """The descriptors that the log goes to."""
    return [handler.fileno() for handler in log.handlers if isinstance(handler, _Stderr | _File)]


class _Stderr(logging.StreamHandler[TextIO]):
    def fileno(self) -> int:
        return self.stream.fileno()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Go on where stderr takes nothing: there is no other place where that could be said."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


class _File(logging.Handler):
    """Each line is one write(2), since the decoder writes to this file too; nothing waits in a buffer."""

    def __init__(self, fd: int, path: Path) -> None:
        super().__init__()
        self._fd = fd
        self._path = path
        self._stderr = _to_stderr()
        self._full = mmap(-1, 1)
        """Whether it is: shared with the decoder, which is forked, for it is said once."""

    def fileno(self) -> int:
        return self._fd

    def emit(self, record: logging.LogRecord) -> None:
        """Append the line; on a full disk say so on stderr, and put this line there, and all that follow."""
        if not self._full[0]:
            try:
                self._write(f"{self.format(record)}\n".encode(errors="backslashreplace"))
            except OSError as error:
                self._full[0] = True
                self._stderr.emit(_cannot_write(self._path, error))
            except (TypeError, ValueError):
                self.handleError(record)  # it does not fit its arguments: logging tells where that is
        if self._full[0]:
            self._stderr.emit(record)

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._fd, line) :]

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        super().close()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _cannot_write(path: Path, error: OSError) -> logging.LogRecord:
    text = f"cannot write the log to {path}: {error.strerror}; it goes on here"
    return log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None)


class _Lines(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on."""
        self._take(self.format(record))


class _Printable(logging.Formatter):
    """One line of printable text a message: names of files and libraries in it are whatever a stranger chose."""

    begin = ""
    """What each line begins with."""

    def format(self, record: logging.LogRecord) -> str:
        return self.begin + super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return escape(super().formatMessage(record))


def _to_stderr() -> logging.Handler:
    return _formatted(_Stderr(sys.stderr), ERASE if sys.stderr.isatty() else "")


def _formatted(handler: logging.Handler, begin: str = "") -> logging.Handler:
    formatter = _Printable("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    formatter.begin = begin
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


def _append(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise PellucidError(f"cannot write the log to {path}: {error.strerror}") from error
