"""What capturing costs nginx under full load: `make bench`.

nginx (one worker) and wrk (one thread, keep-alive) run on this machine, both with the same private copy
of libssl, so that both ends are watched. Rounds without capture and with each way of capturing follow
each other in turn; what is compared comes from the same run, for machines are noisy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usage import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RECORD = ["--record", "{folder}/recording", "--record-limit", "16384"]
FLOOR = "the floor: empty programs"
MODES: dict[str, list[str] | None] = {
    "no capture": None,
    FLOOR: [],
    "--record": RECORD,
    "-o json": ["-o", "json:{folder}/events"],
    "--record, --sites entry": [*RECORD, "--sites", "entry"],
    "--record, --pid of another": [*RECORD, "--pid", str(os.getpid())],
}
"""By name, the flags of `pellucid tls`; None for none at all, and the floor is a program of its own."""

CONFIG = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        ssl_protocols {protocols}; location / {{ {location} }}
    }}
}}
"""
PROTOCOLS = "TLSv1 TLSv1.1 TLSv1.2"  # nginx's own choice up to 1.23.3
SMALL = 'return 200 "a small response\\n";'
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass
class Round:
    """What one run of wrk gave, and what Pellucid said and used."""

    rate: float
    """Requests per second."""
    p50: float
    """Milliseconds."""
    p99: float
    ends: float
    """Microseconds of CPU that nginx and wrk took for each request."""
    bytes: int = 0
    """Plaintext that nginx and wrk passed to libssl."""
    lost: int = 0
    cpu: float = 0.0
    """Seconds of CPU that Pellucid's two processes took, for each second of load."""
    memory: float = 0.0
    """Resident MiB of both at the end of the load; their buffers only grow."""

    @property
    def work(self) -> float:
        """Microseconds of CPU that all of them took for each request."""
        return self.ends + 1e6 * self.cpu / self.rate


@dataclass
class Bench:
    """The server, and how load is put on it."""

    folder: Path
    port: int
    seconds: int
    connections: int
    env: dict[str, str]
    server: int
    """The number of nginx's first process."""
    flags: tuple[str, ...] = ()
    """More words for wrk."""

    def load(self) -> tuple[float, float, float, float]:
        """The first four of a round."""
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}", "--latency"]
        url = f"https://127.0.0.1:{self.port}/"
        before = self.spent()
        done = subprocess.run(
            [*command, *self.flags, url], env=self.env, check=True, capture_output=True, text=True
        )
        spent = self.spent() - before
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            sys.exit(f"wrk saw errors:\n{done.stdout}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        requests = total(done.stdout, r"(\d+) requests in")
        if not rate or not requests:
            sys.exit(f"wrk said nothing that is understood:\n{done.stdout}")
        return float(rate[1]), latency(done.stdout, 50), latency(done.stdout, 99), 1e6 * spent / requests

    def spent(self) -> float:
        """Seconds of CPU so far, of nginx and of all that have run and ended."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage(self.server)[0] + ended.ru_utime + ended.ru_stime

    def command(self, name: str, flags: list[str], ready: Path) -> list[str]:
        """What is run beside the load, and makes the file `ready` when it has begun."""
        libssl = str(self.folder / "libssl.so.3")
        if name == FLOOR:
            return [sys.executable, str(Path(__file__).parent / "floor.py"), "tls", libssl, str(ready)]
        words = [word.format(folder=self.folder) for word in flags]
        begin = ["-m", "pellucid", "tls", "--libssl", libssl, "--ready-file", str(ready)]
        return [sys.executable, *begin, *words]

    @contextmanager
    def capture(self, name: str, flags: list[str]) -> Iterator[int]:
        """A capture that has begun, until the block ends: the number of its process."""
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        command = self.command(name, flags, ready)
        with (self.folder / "summary").open("w+") as summary:
            process = subprocess.Popen(command, stdout=summary, stderr=subprocess.DEVNULL)
            wait_for(lambda: ready.exists() or process.poll() is not None)
            yield process.pid
            process.send_signal(signal.SIGINT)
            if process.wait() != 0:
                sys.exit("the capture failed")

    def round(self, name: str, flags: list[str] | None) -> Round:
        """One round without (None) or with a capture."""
        if flags is None:
            return Round(*self.load())
        with self.capture(name, flags) as pid:
            before, load, after = usage(pid), self.load(), usage(pid)
        seen, lost = self.told()
        return Round(*load, seen, lost, cpu=(after[0] - before[0]) / self.seconds, memory=after[1])

    def told(self) -> tuple[int, int]:
        """Bytes seen and lost, by the summary on stdout, or in the file of events where there is one."""
        events = self.folder / "events"
        if not events.exists():
            told = (self.folder / "summary").read_text()
            return total(told, r"(\d+) bytes(?: in \S+ s)? from"), total(told, r"LOST .*?(\d+) bytes")
        with events.open("rb") as file:
            file.seek(-min(1000, events.stat().st_size), os.SEEK_END)
            told = json.loads(file.readlines()[-1])
        events.unlink()
        return told["bytes"], sum(told["lost"].values())


def latency(text: str, percentile: int) -> float:
    """A line of wrk's latency distribution, in milliseconds."""
    found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    return float(found[1]) * UNITS[found[2]] if found else float("nan")


def total(text: str, pattern: str) -> int:
    """The sum of all numbers that the pattern finds."""
    return sum(int(number) for number in re.findall(pattern, text))


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll until it is true."""
    while not condition():
        select.select([], [], [], 0.01)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def nginx(
    seconds: int, connections: int, location: str = SMALL, protocols: str = PROTOCOLS
) -> Iterator[Bench]:
    """A server in a folder of its own, with a private libssl."""
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        listing = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
        shutil.copy(re.findall(r"(/\S+/libssl\.so\.3)$", listing, re.MULTILINE)[0], folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem",
             "-out", folder / "cert.pem", "-days", "1", "-subj", "/CN=localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        port = free_port()
        (folder / "nginx.conf").write_text(
            CONFIG.format(folder=folder, port=port, location=location, protocols=protocols)
        )
        env = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
        server = subprocess.Popen(["nginx", "-p", folder, "-c", "nginx.conf", "-e", "error.log"], env=env)
        try:
            wait_for(lambda: listening(port) or server.poll() is not None)
            yield Bench(folder, port, seconds, connections, env, server.pid)
        finally:
            server.terminate()
            server.wait()


def row(name: str, rounds: list[Round], base: list[Round]) -> str:
    """One line of the table: medians over the rounds, compared with the base of the same round."""
    pairs = list(zip(rounds, base, strict=True))
    kept = statistics.median(each.rate / reference.rate for each, reference in pairs)
    added = statistics.median(1e6 / each.rate - 1e6 / reference.rate for each, reference in pairs)
    work = statistics.median(each.work - reference.work for each, reference in pairs)

    def median(values: Iterable[float]) -> float:
        return statistics.median(values)

    return (
        f"| {name} | {median(at.rate for at in rounds):,.0f} | {kept:.1%} | {added:.1f} | {work:.1f} "
        f"| {median(at.p50 for at in rounds):.2f} / {median(at.p99 for at in rounds):.2f} "
        f"| {median(at.bytes for at in rounds) / 1e6:,.0f} "
        f"| {sum(at.lost for at in rounds):,} | {median(at.cpu for at in rounds):.2f} "
        f"| {max(at.memory for at in rounds):.0f} |"
    )


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=8, help="of load in each round")
    arguments.add_argument("--connections", type=int, default=32)
    chosen = arguments.parse_args()
    results: dict[str, list[Round]] = {name: [] for name in MODES}
    with nginx(chosen.seconds, chosen.connections) as bench:
        bench.load()  # warm
        for number in range(chosen.rounds):
            for name, flags in MODES.items():
                print(f"round {number + 1} of {chosen.rounds}: {name}", file=sys.stderr)
                results[name].append(bench.round(name, flags))
    print(
        "| | requests/s | kept | added us | added CPU us | p50 / p99 ms | MB seen | bytes lost | CPU | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, rounds in results.items():
        print(row(name, rounds, results["no capture"]))


if __name__ == "__main__":
    main()
