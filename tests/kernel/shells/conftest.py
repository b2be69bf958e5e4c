"""Fixtures for tests of shells: private copies of them, watched and typed into."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import Capture
from tests.kernel.terminals import Shell, private_shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(params=["bash", "zsh"])
def executable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A private copy of a shell."""
    tmp_path.chmod(0o755)
    return private_shell(request.param, tmp_path)


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    """A private copy of bash, for what zsh does not differ in or does not have."""
    return private_shell("bash", tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`start(executable, *flags)` watches a shell, and returns when it is ready; `kind` where its name is another."""
    started: list[Capture] = []

    def begin(executable: Path, *flags: str, kind: str = "") -> Capture:
        kind = kind or executable.name
        command = [sys.executable, "-m", "pellucid", kind, f"--{kind}", str(executable), *flags]
        run = Capture(command, tmp_path / f"capture{len(started)}")
        started.append(run)
        return run.wait_until_ready()

    yield begin
    for run in started:
        run.kill()


@pytest.fixture
def shell() -> Iterator[Callable[..., Shell]]:
    """`shell(executable)` is a shell at a terminal; it is ended after the test."""
    opened: list[Shell] = []

    def begin(executable: Path) -> Shell:
        opened.append(Shell(executable))
        return opened[-1]

    yield begin
    for each in opened:
        each.end()
