"""The log: what Pellucid says about itself, on stderr or in a file, never between the events.

The standard library's: structlog takes a quarter of the start-up time (124 of 290 ms, measured) for
a log of a few lines.
"""

from __future__ import annotations

import logging
import os
import sys
import time
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
    """Send the log to the end of `path`, or to stderr."""
    stream = sys.stderr if path is None else _append(path)
    begin = ERASE if stream.isatty() else ""
    log.handlers = [_formatted(logging.StreamHandler(stream), begin)]
    log.propagate = False
    log.setLevel(logging.DEBUG if debug else logging.INFO)


def log_also_to(take: Callable[[str], None]) -> Callable[[], None]:
    """Hand each line, without its end, to `take` as well, until what is returned is called."""
    handler = _formatted(_Lines(take))
    log.addHandler(handler)
    return lambda: log.removeHandler(handler)


def log_fds() -> list[int]:
    """The descriptors that the log goes to."""
    return [handler.stream.fileno() for handler in log.handlers if isinstance(handler, logging.StreamHandler)]


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


def _formatted(handler: logging.Handler, begin: str = "") -> logging.Handler:
    formatter = _Printable("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    formatter.begin = begin
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


def _append(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, flags, 0o600), "w", buffering=1)
    except OSError as error:
        raise PellucidError(f"cannot write the log to {path}: {error.strerror}") from error
