"""What a capture takes of the machine's memory, as `--memory` counts it."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.kernel.processes import decoder_of

if TYPE_CHECKING:
    from tests.kernel.running import Capture

MIB = 1 << 20


def resident(pid: int) -> int:
    """Bytes of a process: its proportional set size (proc(5), smaps), the ring left out."""
    kib, ring = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ring = "bpf-map" in line
        elif line.startswith("Pss:") and not ring:
            kib += int(line.split()[1])
    return kib * 1024


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
