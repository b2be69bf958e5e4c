"""Captures of packets, as tests start and end them."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import PATIENCE, Capture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.running import Tls

often = pytest.mark.parametrize("runs", [5, pytest.param(50, marks=pytest.mark.long)])
"""How often each program runs."""


def started(tls: Tls, folder: Path, file: Path, *flags: str, libssl: Path | None = None) -> Capture:
    """A capture of packets and of the private library's secrets, where this thread is."""
    words = [sys.executable, "-m", "pellucid", "tls", "-m", "pcap", "-w", str(file)]
    words += ["--libssl", str(libssl or tls.libssl), *flags, "-o", f"json:{file}.ndjson"]
    return Capture(words, folder / f"{file.name}.run").wait_until_ready()


def end(run: Capture) -> str:
    """End it as a user does; its log."""
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(PATIENCE) == 0, run.log.read_text()
    return run.log.read_text()
