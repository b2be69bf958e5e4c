"""Programs that use the fake library of tests/victims/fake: every call, and its size, is the test's choice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.kernel.running import PATIENCE, wait_for

if TYPE_CHECKING:
    from tests.kernel.running import Programs

FOLDER = Path(__file__).parents[1] / "victims" / "fake"
_STRICT = ("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread")


def build_library(folder: Path) -> Path:
    """The fake libssl; without optimisations that would make one function of two."""
    library = folder / "libfake_ssl.so"
    source = FOLDER / "fake_ssl.c"
    subprocess.run([*_STRICT, "-fno-ipa-icf", "-fPIC", "-shared", "-o", library, source], check=True)
    return library


def build_program(name: str, folder: Path, *libraries: str | Path) -> Path:
    """A victim in C, linked with `libraries`."""
    program = folder / name
    subprocess.run([*_STRICT, "-o", program, FOLDER / f"{name}.c", *libraries], check=True)
    return program


class Puppet:
    """A running Python program whose script says what it calls (see tests/victims/fake/puppet.py).

    The script begins with a pause.
    """

    def __init__(self, programs: Programs, library: Path, script: str) -> None:
        self.process = programs.start(
            sys.executable, "-c", f"from puppet import *\npause()\n{script}",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None,
            env={"FAKE_SSL": str(library), "PYTHONPATH": str(FOLDER), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
        self.said()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def said(self) -> str:
        """Its next line: it has come to its next `pause`."""
        line = self.process.stdout.readline().decode()
        assert line, f"the puppet ended with status {self.process.wait(PATIENCE)}"
        return line.strip()

    def go_on(self) -> None:
        """Answer its `pause`."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def step(self) -> str:
        """Let it go on until its next `pause`."""
        self.go_on()
        return self.said()

    def end(self) -> None:
        """Let it go on to its end, which must be a good one."""
        self.go_on()
        assert self.process.wait(PATIENCE) == 0


def wait_until_stopped(pid: int) -> None:
    """Until every thread of a process has taken a SIGSTOP (proc(5): the letter behind its name)."""
    tasks = Path(f"/proc/{pid}/task")

    def stopped() -> bool:
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()]
        return set(states) == {"T"}

    wait_for(stopped, f"process {pid} to stop")


def numbered(size: int) -> bytes:
    """What the victims write where nothing else is said: lines of 16 bytes, each with its number."""
    return b"".join(b"%015d\n" % line for line in range(-(-size // 16)))[:size]
