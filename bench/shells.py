"""What `--commands` costs a shell that does nothing but run commands: `bench/shells.py`, a part of `make bench`.

bash and zsh, from copies of their own, run a script of builtins and one of programs; rounds without and with a
capture follow each other in turn. What people type is not measured: nobody types fast enough.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nginx import wait_for
from usage import usage

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh")
LOADS = {"builtins": (20_000, "true $i word"), "programs": (1_000, "/bin/true $i word")}
"""How many turns of a loop, and the command of each; `[` and an assignment come with it."""


@dataclass
class Round:
    """One script."""

    commands: int
    seconds: float
    """CPU time of the shell and its children, user and system."""
    capture: float = 0.0
    """The same of Pellucid."""
    shown: int = 0

    @property
    def work(self) -> float:
        """Microseconds of the shell's CPU for each turn."""
        return 1e6 * self.seconds / self.commands


def run(shell: Path, count: int, command: str) -> float:
    """CPU seconds that a script of so many commands took."""
    before = os.times()
    script = f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); {command}; done"
    subprocess.run([shell, "-c", script], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@contextmanager
def capture(shell: Path, folder: Path) -> Iterator[int]:
    """A capture that has begun, until the block ends: the number of its process."""
    ready, events = folder / "ready", folder / "events"
    for file in (ready, events):
        file.unlink(missing_ok=True)
    words = [
        shell.name,
        "--commands",
        f"--{shell.name}",
        shell,
        "-o",
        f"json:{events}",
        "--ready-file",
        ready,
    ]
    with (folder / "told").open("w") as told:
        process = subprocess.Popen([sys.executable, "-m", "pellucid", *words], stdout=told, stderr=told)
        wait_for(lambda: ready.exists() or process.poll() is not None)
        if process.poll() is None:
            yield process.pid
            process.send_signal(signal.SIGINT)
        if process.wait() != 0:
            sys.exit(f"the capture failed: {(folder / 'told').read_text()}")


def captured(shell: Path, folder: Path, count: int, command: str) -> Round:
    """One round with a capture: each command of the script has to be shown."""
    with capture(shell, folder) as pid:
        before = usage(pid)[0]
        seconds = run(shell, count, command)
        spent = usage(pid)[0] - before
    word = f'"{command.split(maxsplit=1)[0]}"'
    with (folder / "events").open() as lines:
        found = [json.loads(line) for line in lines if word in line or '"summary"' in line]
    if found[-1]["lost"]:
        sys.exit(f"lost: {found[-1]['lost']}")
    return Round(count, seconds, spent, len(found) - 1)


def row(name: str, base: list[Round], rounds: list[Round]) -> str:
    """One line of the table: medians over the rounds, compared with the base of the same round."""
    pairs = list(zip(rounds, base, strict=True))
    added = [each.work - reference.work for each, reference in pairs]
    kept = [reference.work / each.work for each, reference in pairs]
    ours = statistics.median(1e6 * each.capture / each.commands for each in rounds)
    shown = min(each.shown / each.commands for each in rounds)
    return (
        f"| {name} | {statistics.median(each.work for each in base):.1f} | {statistics.median(added):.1f} "
        f"({min(added):.1f} to {max(added):.1f}) | {statistics.median(kept):.0%} | {ours:.1f} | {shown:.1%} |"
    )


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    print("| | CPU us a turn | added | speed kept | Pellucid's own | shown |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as name:
        folder = Path(name)
        for installed in map(shutil.which, SHELLS):
            shell = Path(shutil.copy(str(installed), folder))
            for load, (count, command) in LOADS.items():
                run(shell, count, command)  # warm
                base, rounds = [], []
                for _ in range(chosen.rounds):
                    base.append(Round(count, run(shell, count, command)))
                    rounds.append(captured(shell, folder, count, command))
                print(row(f"{shell.name}, {load}", base, rounds), flush=True)


if __name__ == "__main__":
    main()
