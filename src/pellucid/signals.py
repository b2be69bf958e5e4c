"""The signals by which a user ends a capture, as something to wait for beside everything else."""

from __future__ import annotations

import contextlib
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptions() -> Iterator[int]:
    """A descriptor that is readable once one of SIGNALS came; they do nothing else meanwhile."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield read
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def forget(interrupted: int) -> None:
    """Empty such a descriptor: only a signal that comes from now on makes it readable."""
    with contextlib.suppress(BlockingIOError):
        while os.read(interrupted, 4096):
            pass
