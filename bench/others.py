"""What `--pid` of one process costs the socket calls of all others: a part of `make bench`.

Full load is too coarse a measure for it: rounds of nginx and wrk differ by more. So this is the least that one
send and one recv take, which repeats to some 10 ns, while nothing, and while a capture of another process runs.
"""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path

from nginx import MODES, Bench, nginx

ROUNDS = 5
ALONE, WATCHED = "no capture", "--record, --pid of another"


def build(folder: Path) -> Path:
    """Compile the program that measures."""
    program, source = folder / "sockets", Path(__file__).with_name("sockets.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program


def measured(bench: Bench, name: str, program: Path) -> list[int]:
    """ns of a send and a recv through a Unix socket, and through TCP."""
    flags = MODES[name]
    with nullcontext() if flags is None else bench.capture(name, flags):
        done = subprocess.run([program], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def main() -> None:
    """Print the table."""
    results: dict[str, list[list[int]]] = {ALONE: [], WATCHED: []}
    with nginx(1, 1) as bench:
        program = build(bench.folder)
        for _ in range(ROUNDS):
            for name, rounds in results.items():
                rounds.append(measured(bench, name, program))
    alone, watched = ([min(column) for column in zip(*rounds, strict=True)] for rounds in results.values())
    print("| a send and a recv of 64 bytes | ns | --pid of another | more |")
    print("|---|---|---|---|")
    for kind, before, after in zip(("Unix socket", "TCP on loopback"), alone, watched, strict=True):
        print(f"| {kind} | {before:,} | {after:,} | {after - before} |")


if __name__ == "__main__":
    main()
