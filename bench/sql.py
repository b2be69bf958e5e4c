"""What capturing costs a database server: `bench/sql.py`, a part of `make bench`.

PostgreSQL with pgbench and MariaDB with sysbench, by TCP on loopback: the shortest queries there are, and the client's
usual mix. Under full load, rounds without and with each way of capturing follow each other in turn; at a constant rate what was asked is
compared with what was shown.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nginx import wait_for
from servers import Load, MariaDb, PostgreSql, Server, serving
from usage import usage

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOOR = "the floor: empty programs"
MODES: dict[str, list[str] | None] = {
    "no capture": None,
    FLOOR: [],
    "--record": ["--record", "{folder}/recording", "--record-limit", "16384"],
    "--record --sites entry": [
        "--record",
        "{folder}/recording",
        "--record-limit",
        "16384",
        "--sites",
        "entry",
    ],
    "-o json": ["-o", "json:{folder}/events"],
}
"""By name, the flags of `pellucid`; None for none at all, and the floor is a program of its own."""


@dataclass
class Round:
    """One load, and what Pellucid used meanwhile."""

    load: Load
    cpu: float = 0.0
    """Seconds of CPU of Pellucid's processes."""
    memory: float = 0.0
    """Resident MiB of them at its end."""
    lost: int = 0
    """Bytes."""

    @property
    def rate(self) -> float:
        """Queries a second."""
        return self.load.queries / self.load.seconds

    @property
    def work(self) -> float:
        """Microseconds of CPU for each query: of the server, its client and Pellucid."""
        return 1e6 * (self.load.cpu + self.cpu) / self.load.queries


@contextmanager
def capture(server: Server, name: str, flags: list[str]) -> Iterator[int]:
    """A capture that has begun, until the block ends: the number of its process."""
    ready = server.folder / "ready"
    ready.unlink(missing_ok=True)
    if name == FLOOR:
        script = Path(__file__).with_name("floor.py")
        command = [sys.executable, str(script), server.command, str(server.program), str(ready)]
    else:
        words = [word.format(folder=server.folder) for word in flags]
        begin = [server.command, "-m", str(server.program), "--ready-file", str(ready)]
        command = [sys.executable, "-m", "pellucid", *begin, *words]
    with (server.folder / "told").open("w") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told)
        wait_for(lambda: ready.exists() or process.poll() is not None)
        yield process.pid
        process.send_signal(signal.SIGINT)
        if process.wait() != 0:
            sys.exit(f"the capture failed: {(server.folder / 'told').read_text()}")


def measured(server: Server, name: str, seconds: int, what: str, rate: int | None = None) -> Round:
    """One round."""
    flags = MODES[name]
    if flags is None:
        return Round(server.load(seconds, what, rate))
    with capture(server, name, flags) as pid:
        before, load, after = usage(pid), server.load(seconds, what, rate), usage(pid)
    lost = sum(summary(server.folder / "events")["lost"].values()) if flags == MODES["-o json"] else 0
    return Round(load, after[0] - before[0], after[1], lost)


def summary(events: Path) -> dict[str, Any]:
    """The last message."""
    with events.open("rb") as file:
        file.seek(max(0, events.stat().st_size - 2000))
        found: dict[str, Any] = json.loads(file.readlines()[-1])
    return found


def row(name: str, rounds: list[Round], base: list[Round]) -> str:
    """One line of the table: medians over the rounds, compared with the base of the same round."""
    pairs = list(zip(rounds, base, strict=True))
    kept = statistics.median(each.rate / reference.rate for each, reference in pairs)
    best = max(each.rate for each in rounds) / max(each.rate for each in base)
    added = statistics.median(each.work - reference.work for each, reference in pairs)
    least = min(each.work for each in rounds) - min(each.work for each in base)
    return (
        f"| {name} | {statistics.median(each.rate for each in rounds):,.0f} | {kept:.1%} | {best:.1%} | {added:.1f} | {least:.1f} "
        f"| {statistics.median(each.load.latency for each in rounds):.3f} | {sum(each.lost for each in rounds):,} "
        f"| {statistics.median(each.cpu / each.load.seconds for each in rounds):.2f} "
        f"| {max(each.memory for each in rounds):.0f} |"
    )


def full_load(server: Server, what: str, rounds: int, seconds: int) -> None:
    """Print the table of one load."""
    results: dict[str, list[Round]] = {name: [] for name in MODES}
    server.load(seconds, what)  # warm
    for number in range(rounds):
        for name in MODES:
            print(f"{what}, round {number + 1} of {rounds}: {name}", file=sys.stderr)
            results[name].append(measured(server, name, seconds, what))
    print(
        f"\n| {server.command}, {what} | queries/s | kept | of the best | added CPU us | of the least | ms | bytes lost | CPU | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, each in results.items():
        print(row(name, each, results["no capture"]), flush=True)


def constant_rate(server: Server, rate: int, seconds: int) -> None:
    """Print what was asked and what was shown."""
    what = next(iter(server.loads))
    alone = measured(server, "no capture", seconds, what, rate)
    watched = measured(server, "-o json", seconds, what, rate)
    with (server.folder / "events").open() as lines:
        messages = [json.loads(line) for line in lines]
    shown = sum(each["type"] == "query" and each["rows"] == 1 for each in messages)
    print(
        f"\n{what} at {rate:,} queries/s for {seconds} s: {watched.load.queries:,} were asked, {shown:,} shown, "
        f"lost: {messages[-1]['lost'] or 'nothing'}; {watched.rate:,.0f}/s, without a capture {alone.rate:,.0f}/s; "
        f"{watched.load.latency:.3f} ms a query, without {alone.load.latency:.3f}; CPU {watched.cpu / seconds:.2f}, "
        f"{watched.memory:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Run the rounds of each server."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=2, help="of load in each round")
    arguments.add_argument("--rate", type=int, default=5000, help="queries per second of the constant rate")
    arguments.add_argument("--server", choices=["postgres", "mysqld"], help="only this one")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for kind in (PostgreSql, MariaDb):
            if chosen.server in (None, kind.command):
                with serving(kind, folder / kind.command) as server:
                    for what in server.loads:
                        full_load(server, what, chosen.rounds, chosen.seconds)
                    constant_rate(server, chosen.rate, 5 * chosen.seconds)


if __name__ == "__main__":
    main()
