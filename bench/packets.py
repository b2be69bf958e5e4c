"""What capturing packets costs, beside tcpdump: `bench/packets.py [--rounds 5] [--seconds 3]`, needs root.

A veth between two network namespaces; UDP datagrams go through it at a constant rate, and nobody answers. In turn
with each round without a capture goes one of tcpdump and one of Pellucid. The sender's CPU time is counted too, since
the kernel does with a packet in that time whatever somebody has attached.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from usage import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTLE = 0.3
"""Seconds for the last packets to be written."""


class Load(NamedTuple):
    """What is sent."""

    name: str
    size: int
    rate: int


LOADS = (
    Load("100,000 a second, 64 bytes", 64, 100_000),
    Load("100,000 a second, 1,400 bytes", 1400, 100_000),
    Load("as many as go, 64 bytes", 64, 1 << 30),
    Load("20,000 a second, 60,000 bytes", 60_000, 20_000),
)


class Round(NamedTuple):
    """One run of the sender."""

    sent: int
    kept: int
    seconds: float
    sender: float
    """CPU seconds."""
    tool: float


@contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Prefixes of commands that run at either end of a veth."""
    names = [f"pellucid-bench-{end}-{os.getpid()}" for end in "ab"]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        script = f"""
        ip link add va netns {names[0]} type veth peer name vb netns {names[1]}
        ip -n {names[0]} address add 10.96.0.1/24 dev va && ip -n {names[0]} link set va up
        ip -n {names[1]} address add 10.96.0.2/24 dev vb && ip -n {names[1]} link set vb up
        ip netns exec {names[1]} sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all'
        """
        subprocess.run(["sh", "-ec", script], check=True)
        yield names[0], names[1]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=True)


def build(folder: Path) -> Path:
    """Compile the sender."""
    program, source = folder / "datagrams", Path(__file__).with_name("datagrams.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program


@contextmanager
def nothing(_within: list[str], _folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """No capture."""
    yield os.getpid(), lambda: 0


@contextmanager
def tcpdump(within: list[str], folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """tcpdump, with a buffer as large as our ring."""
    words = [
        "tcpdump",
        "-i",
        "va",
        "-B",
        "32768",
        "-w",
        str(folder / "out.pcap"),
        "-Z",
        "root",
        "udp",
        "port",
        "9",
    ]
    with subprocess.Popen([*within, *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()

        def kept() -> int:
            process.terminate()
            assert process.stderr
            return int(re.search(r"(\d+) packets captured", process.stderr.read())[1])  # type: ignore[index]

        try:
            yield process.pid, kept
        finally:
            process.terminate()


@contextmanager
def pellucid(within: list[str], folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """`pellucid tls -m pcap`."""
    ready, log = folder / "ready", folder / "log"
    ready.unlink(missing_ok=True)
    libssl = ["--libssl", str(folder / "libssl.so.3"), "--ready-file", str(ready)]
    words = ["-m", "pellucid", "tls", "-m", "pcap", "-i", "va", "-w", str(folder / "out.pcapng"), *libssl]
    with log.open("w") as said:
        process = subprocess.Popen([*within, sys.executable, *words, "udp port 9"], stderr=said)
    while not ready.exists():
        if process.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.01)

    def kept() -> int:
        process.terminate()
        process.wait()
        found = re.search(r"(\d+) packets are written", log.read_text())
        return int(found[1]) if found else sys.exit(log.read_text())

    try:
        yield process.pid, kept
    finally:
        process.terminate()
        process.wait()


def one_round(
    how: Callable[..., object], load: Load, within: list[str], sender: Path, folder: Path, seconds: int
) -> Round:
    """Send under a capture."""
    with how(within, folder) as (pid, kept):  # type: ignore[attr-defined]
        before, began = usage(pid)[0], time.monotonic()
        words = ["10.96.0.2", "9", str(load.size), str(load.rate), str(seconds)]
        if load.rate == 1 << 30:
            words[3:] = ["1000000000", str(seconds * 0.0003)]
        done = subprocess.run([*within, str(sender), *words], check=True, capture_output=True, text=True)
        took = time.monotonic() - began
        time.sleep(SETTLE)
        tool = usage(pid)[0] - before if pid != os.getpid() else 0.0
        sent, cpu = map(int, done.stdout.split())
        return Round(sent, kept(), took, cpu / 1e6, tool)


def main() -> None:
    """Print one table a load."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=3)
    chosen = arguments.parse_args()
    library = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    libssl = next(line.split()[-1] for line in library.splitlines() if "libssl.so.3" in line)
    with tempfile.TemporaryDirectory() as name, network() as (here, _):
        folder = Path(name)
        shutil.copy(libssl, folder / "libssl.so.3")
        sender, within = build(folder), ["ip", "netns", "exec", here]
        for load in LOADS:
            print(f"\n| {load.name} | sent | kept | packets/s | CPU us a packet: sender | tool | both |")
            print("|---|---|---|---|---|---|---|")
            rounds: dict[str, list[Round]] = {}
            for _ in range(chosen.rounds):
                for way in (nothing, tcpdump, pellucid):
                    found = one_round(way, load, within, sender, folder, chosen.seconds)
                    rounds.setdefault(way.__name__, []).append(found)
            for way, found in rounds.items():
                print_row(way, found)


def print_row(name: str, rounds: list[Round]) -> None:
    """Medians of the rounds, sums of packets."""
    sent, kept = sum(each.sent for each in rounds), sum(each.kept for each in rounds)
    rate = statistics.median(each.sent / each.seconds for each in rounds)
    sender = statistics.median(each.sender / each.sent for each in rounds) * 1e6
    tool = statistics.median(each.tool / each.sent for each in rounds) * 1e6
    both = statistics.median((each.sender + each.tool) / each.sent for each in rounds) * 1e6
    print(
        f"| {name} | {sent:,} | {kept:,} | {rate:,.0f} | {sender:.2f} | {tool:.2f} | {both:.2f} |", flush=True
    )


if __name__ == "__main__":
    main()
