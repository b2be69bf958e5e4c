"""`--commands` where a shell calls itself deeper than the kernel follows calls that have not returned (64 of a process)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.kernel.shells.test_commands import commands

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture

STATEMENTS = "\n".join(f"  test {number} -eq 7" for number in range(200))
LISTED = "; ".join(f"test {number} -eq 7" for number in range(200))
TESTS = [(["test", str(number), "-eq", "7"], int(number != 7), "done") for number in range(200)]
SCRIPT = f"""\
many() {{
{STATEMENTS}
}}
many
deep() {{
  [ $1 = 0 ] && return 5
  deep $(($1 - 1))
}}
deep 100
"""


def ran(run: Capture) -> list[tuple[list[str], int, str]]:
    """Words, status and end of what was run, and that nothing was lost."""
    messages = run.stop()
    assert messages[-1]["lost"] == {}
    return [(each["argv"], each["exit_code"], each["ended"]) for each in commands(messages)]


def test_statements_and_recursion(executable: Path, start: Callable[..., Capture], tmp_path: Path) -> None:
    """A function of 200 statements, and one that calls itself 100 times: each command is told once, with its status."""
    script = tmp_path / "script.sh"
    script.write_text(SCRIPT)
    run = start(executable, "--commands")
    subprocess.run([executable, script], check=False)
    tried = [(["[", str(number), "=", "0", "]"], int(number != 0), "done") for number in range(100, -1, -1)]
    deep = [(["deep", str(number)], 5, "done") for number in range(101)]
    assert ran(run) == [*TESTS, (["many"], 1, "done"), *tried, (["return", "5"], 5, "done"), *deep]


def test_a_long_line(executable: Path, start: Callable[..., Capture]) -> None:
    """Of 200 commands in one `-c` line each is told."""
    run = start(executable, "--commands")
    subprocess.run([executable, "-c", f"{LISTED}; :"], check=True)
    assert ran(run) == [*TESTS, ([":"], 0, "done")]
