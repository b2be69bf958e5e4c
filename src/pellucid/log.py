"""The log: what Pellucid says about itself, on stderr or in a file, never between the events."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

import structlog

if TYPE_CHECKING:
    from pathlib import Path

_LEVELS = {False: 20, True: 10}
"""logging.INFO, and logging.DEBUG with `--debug`."""


def configure(*, debug: bool, path: Path | None) -> None:
    """Send the log to `path`, or to stderr, with colours only on a terminal."""
    stream = sys.stderr
    if path is not None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        stream = os.fdopen(os.open(path, flags, 0o600), "w", buffering=1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=True),
            structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0, pad_level=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[debug]),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )


def get() -> structlog.typing.FilteringBoundLogger:
    """A logger: `get().info("ready", targets=1)`."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger())
