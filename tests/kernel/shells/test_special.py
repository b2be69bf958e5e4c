"""`--commands` where something of the shell's own stands between a command and what is told of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.filters import Filter
from pellucid.attach.shells.find import examine, find_shells
from pellucid.attach.shells.tracing import ShellTracing
from pellucid.probes.shell import OBJECT
from pellucid.probes.shell.probe import BASH, ZSH
from tests.attach.shells.test_shells import ByStat
from tests.kernel.shells.test_commands import commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture

TRAPS = """\
trap 'true   "in trap"' DEBUG
echo a   "b"
f() { echo "in   f"; }
f one   "two"
trap 'echo "bye"' EXIT
(exit 3)
trap - EXIT
trap - DEBUG
trap 'echo   "end"' EXIT
"""


def test_text_of_commands_with_traps(bash: Path, start: Callable[..., Capture]) -> None:
    """The text of a command is its own, and not that of the trap that runs before it, nor the other way round."""
    run = start(bash, "--commands")
    subprocess.run([bash, "-c", TRAPS], check=True, capture_output=True)
    found = [(each["line"], each["argv"]) for each in commands(run.stop())]
    assert [each for each in found if each != ('true "in trap"', ["true", "in trap"])] == [
        ("trap 'true   \"in trap\"' DEBUG", ["trap", 'true   "in trap"', "DEBUG"]),
        ('echo a "b"', ["echo", "a", "b"]),
        ('echo "in   f"', ["echo", "in   f"]),
        ('f one "two"', ["f", "one", "two"]),
        ("trap 'echo \"bye\"' EXIT", ["trap", 'echo "bye"', "EXIT"]),
        ("exit 3", ["exit", "3"]),
        ("trap - EXIT", ["trap", "-", "EXIT"]),
        ("trap - DEBUG", ["trap", "-", "DEBUG"]),
        ("trap 'echo   \"end\"' EXIT", ["trap", 'echo   "end"', "EXIT"]),
        ('echo "end"', ["echo", "end"]),
    ]


def test_a_trap_within_a_trap(bash: Path, start: Callable[..., Capture]) -> None:
    """Of a command for which bash has kept no text `line` is the words, and no other command's text."""
    run = start(bash, "--commands")
    subprocess.run(
        [bash, "-c", "trap 'true  inner' DEBUG; trap 'echo \"bye\"' EXIT"], check=True, capture_output=True
    )
    assert commands(run.stop())[-1]["line"] == "echo bye"


def test_programs_by_the_name_of_the_shell(executable: Path, start: Callable[..., Capture]) -> None:
    """`--comm` means the shell: what it runs is told, whatever name that gives the process."""
    run = start(executable, "--commands", "--comm", executable.name)
    subprocess.run(
        [executable, "-c", "ls -d /usr; (cat /dev/null); true | wc -l; : end"],
        check=True,
        capture_output=True,
    )
    found = [each["argv"] for each in commands(run.stop())]
    assert sorted(found) == [[":", "end"], ["cat", "/dev/null"], ["ls", "-d", "/usr"], ["true"], ["wc", "-l"]]


def test_inverted(executable: Path, start: Callable[..., Capture]) -> None:
    """Behind `!` bash tells what `!` makes of a status, zsh the command's own (docs/audit-shell.md)."""
    run = start(executable, "--commands")
    subprocess.run([executable, "-c", "! false; ! true; ! test 1 = 2; :"], check=True)
    statuses = {"bash": [0, 1, 0, 0], "zsh": [1, 0, 1, 0]}[executable.name]
    assert [each["exit_code"] for each in commands(run.stop())] == statuses


def test_the_end_of_a_capture(executable: Path, tmp_path: Path) -> None:
    """When a capture has stopped nothing is recorded any more, though its probes are still there."""
    probe = {"bash": BASH, "zsh": ZSH}[executable.name].with_commands()
    tracing = ShellTracing(OBJECT, 1 << 20, Filter(), probe)
    try:
        tracing.attach_processes(forks=probe.forks_tell)
        (found,) = find_shells(probe, ByStat(), [executable], None)
        tracing.attach(found, examine(probe, executable), 1)
        subprocess.run([executable, "-c", "true; /bin/true; :"], check=True, cwd=tmp_path)
        seen = tracing.drops()
        open_files = len([*Path("/proc/self/fd").iterdir()])
        tracing.stop()
        assert len([*Path("/proc/self/fd").iterdir()]) == open_files
        subprocess.run([executable, "-c", "true; /bin/true; :"], check=True, cwd=tmp_path)
        assert tracing.drops() == seen
        assert seen.seen_bytes
    finally:
        tracing.close()
