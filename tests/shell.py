"""The command as a shell runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDINGS = Path(__file__).parent / "recordings"
COMMAND = (sys.executable, "-m", "pellucid")
PATIENCE = 20
"""Seconds after which a command hangs; it is to take two, and CI machines are slow."""


def pellucid(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [*COMMAND, *map(str, words)]
    options = {
        "capture_output": True,
        "stdin": subprocess.DEVNULL,
        "text": True,
        "timeout": PATIENCE,
    } | options
    return subprocess.run(command, **options)


def only_line(answer: subprocess.CompletedProcess[str], status: int) -> str:
    """What a failed command said: nothing on stdout, one line on stderr, and this exit status."""
    assert (answer.returncode, answer.stdout) == (status, ""), answer
    (line,) = answer.stderr.splitlines()
    assert line.startswith("pellucid: ")
    return line.removeprefix("pellucid: ")


def on_terminal(*words: str | Path, env: Mapping[str, str]) -> str:
    """What it writes to its stdout when that is a terminal."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *map(str, words)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, **env}):
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65536):
                seen += piece
        except OSError:  # EIO: nobody has the terminal open any more
            pass
        finally:
            os.close(ours)
    return seen.decode()
