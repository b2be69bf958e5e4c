"""What a capture takes of the machine's memory, as `--memory` counts it."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Self

from bench.usage import resident

from tests.kernel.processes import decoder_of

if TYPE_CHECKING:
    from tests.kernel.running import Capture

MIB = 1 << 20


class Watcher:
    """Looks every few milliseconds, in a thread, at what both processes of a capture take; `peak` in bytes."""

    def __init__(self, run: Capture) -> None:
        self._pids = (run.process.pid, decoder_of(run.process.pid))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # they have ended
            while not self._over.wait(0.02):
                self.peak = max(self.peak, sum(map(resident, self._pids)))
