"""What is lost at a constant rate: `bench/rate.py [--rate 5000] [--seconds 20]`, a part of `make bench`.

nginx and a client that asks at that rate, both ends watched and decoded to JSON while it goes on.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from nginx import Bench, nginx, wait_for
from usage import usage


def build(folder: Path) -> Path:
    """Compile the client."""
    program, source = folder / "paced", Path(__file__).with_name("paced.c")
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lssl", "-lcrypto"]
    subprocess.run(command, check=True)
    return program


def captured(bench: Bench, client: list[str]) -> tuple[float, float, float, dict[str, Any]]:
    """Run the client under a capture: seconds it took, Pellucid's CPU share and MiB, summary."""
    events, ready = bench.folder / "events", bench.folder / "ready"
    libssl = ["--libssl", str(bench.folder / "libssl.so.3"), "--ready-file", str(ready)]
    command = [sys.executable, "-m", "pellucid", "tls", *libssl, "-o", f"json:{events}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(lambda: ready.exists() or process.poll() is not None)
    before = usage(process.pid)
    done = subprocess.run(client, env=bench.env, check=True, capture_output=True, text=True)
    after = usage(process.pid)
    process.send_signal(signal.SIGINT)
    if process.wait() != 0:
        sys.exit("the capture failed")
    took = float(done.stdout.split()[1])
    with events.open("rb") as file:
        *_, last = file
    summary = json.loads(last)
    return took, (after[0] - before[0]) / took, after[1], summary


def main() -> None:
    """Print one line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=int, default=5000, help="requests per second")
    arguments.add_argument("--seconds", type=int, default=20)
    arguments.add_argument("--connections", type=int, default=32)
    chosen = arguments.parse_args()
    with nginx(chosen.seconds, chosen.connections) as bench:
        words = (build(bench.folder), bench.port, chosen.connections, chosen.rate, chosen.seconds)
        took, cpu, memory, summary = captured(bench, [str(word) for word in words])
    print(
        f"{chosen.rate * chosen.seconds / took:,.0f} requests/s for {took:.1f} s, both ends to JSON: "
        f"{summary['captured']['http']:,} exchanges, lost: {summary['lost'] or 'nothing'}; "
        f"CPU {cpu:.2f}, {memory:.0f} MiB"
    )


if __name__ == "__main__":
    main()
