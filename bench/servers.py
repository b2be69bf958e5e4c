"""Database servers of a folder's own, under load from the client that is usual for each, all in one cgroup.

The cgroup counts the CPU time of server and client together: it tells what capturing adds to a query more
exactly than the rate does, which other work on the machine moves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from nginx import free_port, listening, wait_for

from pellucid.attach.cgroups import root

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 4
_AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
"""PostgreSQL refuses to run as root."""


class Load(NamedTuple):
    """What one run of a client gave."""

    queries: int
    seconds: float
    cpu: float
    """Seconds of CPU that server and client took together."""
    latency: float
    """Milliseconds a transaction, on average."""


class Server(ABC):
    """A server that runs, and its client."""

    command: ClassVar[str]
    """Of Pellucid."""
    loads: ClassVar[dict[str, int]]
    """What its client can ask, the shortest queries first: commands in one transaction of each."""

    def __init__(self, folder: Path, group: Path) -> None:
        self.folder = folder
        self._group = group
        self.port = free_port()
        self.program = Path(shutil.copy(self._installed(), folder))
        """A copy of its own: nobody else is watched."""
        self._prepare()
        self._process = subprocess.Popen(self._inside(*_AS_NOBODY, *self._serve()), stderr=subprocess.DEVNULL)
        wait_for(lambda: listening(self.port) or self._process.poll() is not None)
        if self._process.poll() is not None:
            sys.exit(f"{self.program.name} did not start")
        subprocess.run(self._fill(), check=True, capture_output=True)

    def _inside(self, *command: str | Path) -> list[str | Path]:
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self._group, *command]

    def load(self, seconds: int, what: str, rate: int | None = None) -> Load:
        """Ask for so long, as fast as it goes or so many queries a second."""
        before = self._spent()
        per_second = rate // self.loads[what] if rate else 0
        command = self._inside(*self._ask(seconds, what, per_second))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{command} failed: {done.stderr}")
        transactions, latency = self._told(done.stdout)
        return Load(transactions * self.loads[what], seconds, self._spent() - before, latency)

    def _spent(self) -> float:
        told = (self._group / "cpu.stat").read_text()
        return int(re.findall(r"usage_usec (\d+)", told)[0]) / 1e6

    def end(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()

    @staticmethod
    @abstractmethod
    def _installed() -> Path: ...

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _serve(self) -> list[str | Path]: ...

    @abstractmethod
    def _fill(self) -> list[str | Path]: ...

    @abstractmethod
    def _ask(self, seconds: int, what: str, rate: int) -> list[str | Path]: ...

    @abstractmethod
    def _told(self, text: str) -> tuple[int, float]: ...


class PostgreSql(Server):
    """PostgreSQL and pgbench, which sends text."""

    command = "postgres"
    loads: ClassVar = {"select-only": 1, "tpcb-like": 7}

    @staticmethod
    def _installed() -> Path:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return found[-1] if found else sys.exit("PostgreSQL's server is missing: install postgresql")

    def _prepare(self) -> None:
        initdb = self._installed().with_name("initdb")
        shutil.copy(initdb, self.folder)
        words = (self.folder / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", "bench", "-N")
        subprocess.run([*_AS_NOBODY, *words], check=True, capture_output=True, cwd=self.folder)

    def _serve(self) -> list[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self.program, "-D", self.folder / "data", *flags]

    def _where(self) -> list[str | Path]:
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "bench"]

    def _fill(self) -> list[str | Path]:
        return ["pgbench", "-i", "-q", *self._where(), "postgres"]

    def _ask(self, seconds: int, what: str, rate: int) -> list[str | Path]:
        pace = ["-R", str(rate)] if rate else []
        words = ["-n", "-b", what, f"-c{CLIENTS}", f"-T{seconds}", *pace]
        return ["pgbench", *words, *self._where(), "postgres"]

    def _told(self, text: str) -> tuple[int, float]:
        processed = re.findall(r"actually processed: (\d+)", text)
        latency = re.findall(r"latency average = ([\d.]+) ms", text)
        return int(processed[0]), float(latency[0])


class MariaDb(Server):
    """MariaDB and sysbench, which prepares its statements."""

    command = "mysqld"
    loads: ClassVar = {"oltp_point_select": 1, "oltp_read_only": 16}

    @staticmethod
    def _installed() -> Path:
        found = shutil.which("mariadbd")
        return Path(found) if found else sys.exit("MariaDB's server is missing: install mariadb-server-core")

    def _options(self) -> list[str | Path]:
        return [
            "--no-defaults", f"--datadir={self.folder}/data", f"--tmpdir={self.folder}", "--skip-grant-tables",
            "--innodb-flush-method=nosync", "--skip-log-bin", "--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder}/socket",
        ]  # fmt: skip

    def _prepare(self) -> None:
        subprocess.run([*_AS_NOBODY, "mkdir", self.folder / "data"], check=True)
        words = [*_AS_NOBODY, self.program, *self._options(), "--bootstrap"]
        subprocess.run(words, input=b"CREATE DATABASE bench;\n", check=True, capture_output=True)

    def _serve(self) -> list[str | Path]:
        return [self.program, *self._options()]

    def _sysbench(self, what: str, *words: str) -> list[str | Path]:
        where = [
            "--db-driver=mysql",
            "--mysql-host=127.0.0.1",
            f"--mysql-port={self.port}",
            "--mysql-db=bench",
        ]
        return ["sysbench", what, "--table-size=10000", *where, *words]

    def _fill(self) -> list[str | Path]:
        return self._sysbench("oltp_point_select", "prepare")

    def _ask(self, seconds: int, what: str, rate: int) -> list[str | Path]:
        return self._sysbench(what, f"--threads={CLIENTS}", f"--time={seconds}", f"--rate={rate}", "run")

    def _told(self, text: str) -> tuple[int, float]:
        transactions = re.findall(r"transactions:\s+(\d+)", text)
        latency = re.findall(r"avg:\s+([\d.]+)", text)
        return int(transactions[0]), float(latency[0])


@contextmanager
def serving(kind: type[Server], folder: Path) -> Iterator[Server]:
    """A server in this folder, in a cgroup of its own, until the block ends."""
    top = root()
    if top is None:
        sys.exit("cgroup v2 is not mounted: mount -t cgroup2 none DIRECTORY")
    group = top / f"pellucid-bench-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, "nobody", "nogroup")
    group.mkdir()
    server = None
    try:
        server = kind(folder, group)
        yield server
    finally:
        if server:
            server.end()
        wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
