"""Shells that turn up while everything is watched."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.inside import call, inside
from tests.kernel.machine import own_machine
from tests.kernel.running import Capture, wait_for
from tests.kernel.terminals import Shell, private_shell, told

MS_BIND = 0x1000  # linux/mount.h

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(params=["bash", "zsh"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """`elsewhere(act)` runs `act(shell, start)` on a machine of its own, whose shell nobody else has: there `start()`
    watches all shells. What `act` returns.
    """

    def run(act: Callable[[Path, Callable[[], Capture]], Any]) -> Any:
        tmp_path.chmod(0o755)
        shell = private_shell(request.param, tmp_path)

        def scenario() -> Any:
            captures: list[Capture] = []
            installed = os.path.realpath(shutil.which(request.param) or "")
            call("mount", os.fsencode(shell), os.fsencode(installed), None, MS_BIND, None)

            def start() -> Capture:
                command = [sys.executable, "-m", "pellucid", request.param]
                captures.append(Capture(command, tmp_path / "capture"))
                return captures[-1].wait_until_ready()

            try:
                return act(shell, start)
            finally:
                for capture in captures:
                    capture.kill()

        answer = inside(own_machine, scenario)
        assert isinstance(answer, list), f"{answer}\n{(tmp_path / 'capture' / 'log').read_text()}"
        return answer

    return run


def test_a_shell_that_was_not_there(elsewhere: Callable[..., Any]) -> None:
    """A shell file that nobody had used is watched when it is, from the first line that is typed into it, and one that
    replaces it under its name as well.
    """

    def act(executable: Path, start: Callable[[], Capture]) -> Any:
        new = executable.parent / "new" / executable.name
        new.parent.mkdir()
        capture = start()
        typed = []
        for number in range(2):
            shutil.copy(executable, new.with_suffix(".next"))
            new.with_suffix(".next").replace(new)
            person = Shell(new)
            wait_for(
                partial(watches, capture, number + 1), "the new file to be watched"
            )  # sooner than people type
            typed += [person.run(f"(exit {number}{each})") for each in range(3)]
            person.end()
        capture.stop()
        return [typed, told(capture.messages(), "exit_code")]

    typed, seen = elsewhere(act)
    assert typed == [0, 1, 2, 10, 11, 12]
    assert [status for (status,) in seen] == typed


def watches(capture: Capture, files: int) -> bool:
    """Whether it has begun to watch so many files after the first."""
    return capture.log.read_text().count(" too\n") >= files


def test_a_shell_that_runs_already(elsewhere: Callable[..., Any]) -> None:
    """A shell that runs when the capture begins, and that no path leads to any more, is watched."""

    def act(executable: Path, start: Callable[[], Capture]) -> Any:
        person = Shell(executable)
        executable.unlink()
        capture = start()
        typed = [person.run(line) for line in ("true", "(exit 7)")]
        person.end()
        capture.stop()
        return [typed, told(capture.messages(), "exit_code")]

    typed, seen = elsewhere(act)
    assert typed == [0, 7]
    assert [status for (status,) in seen] == typed
