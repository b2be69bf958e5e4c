"""Database servers of their own for tests, each its own witness: it logs all that it is asked. TLS is required, unless `plain`."""

from __future__ import annotations

import csv
import io
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tests.kernel.packages import wheels
from tests.kernel.private import private_tls
from tests.kernel.running import PATIENCE, Programs, Tls, free_port, wait_for, wait_for_port
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER, PASSWORD, DATABASE = "anna", "geheim 47110815", "shop"

_ACCOUNT = pwd.getpwnam("nobody")
"""Whose processes the servers are: PostgreSQL refuses to run as root."""


@contextmanager
def workplace(certificate: tuple[Path, Path]) -> Iterator[tuple[Tls, Path]]:
    """A private libssl and certificate that another user can read too, and a folder of that user.

    pytest's own folders are closed to everybody else.
    """
    with tempfile.TemporaryDirectory(prefix="pellucid-sql-") as name:
        folder = Path(name)
        tls = private_tls(folder, certificate)
        server = folder / "server"
        server.mkdir()
        copies = [shutil.copy(each, server) for each in certificate]
        Path(copies[1]).chmod(0o600)
        for path in (server, *copies):
            os.chown(path, _ACCOUNT.pw_uid, _ACCOUNT.pw_gid)
        yield tls, server


class Place(NamedTuple):
    """Where a server runs: a folder of its own, and the root that its program is in."""

    programs: Programs
    folder: Path
    root: Path | None = None
    """Of another Debian release; None: this system's."""

    _IN_ROOT = (
        'mount -t tmpfs none "$0/tmp" && mkdir -p "$0$1" && mount --bind "$1" "$0$1" && mount --bind /dev "$0/dev" && '
        'root=$0 && cd "$1" && shift && exec chroot --userspec=65534:65534 "$root" "$@"'
    )
    _AS_NOBODY = 'cd "$1" && shift && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'

    def command(self, *words: str | Path) -> list[str]:
        """What runs a program there as `nobody`: PostgreSQL refuses to run as root. The process stays the same."""
        begin = ["sh", "-c", self._AS_NOBODY, "sh"]
        if self.root:
            begin = ["unshare", "--mount", "sh", "-c", self._IN_ROOT, str(self.root)]
        return [*begin, *map(str, (self.folder, *words))]

    def run(self, *words: str | Path, told: bytes = b"") -> None:
        """Run a program there to its end; fail if it fails."""
        done = subprocess.run(
            self.command(*words),
            input=told,
            capture_output=True,
            timeout=PATIENCE,
            env=self.programs.env,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start a program there that goes on until the test ends."""
        return self.programs.start(*self.command(*words))


class Logged(NamedTuple):
    """What a server says that it was asked."""

    kind: str
    """In the words of `model.Query`."""
    text: str
    session: int


class MariaDb:
    """A MariaDB server with its general log."""

    _LINE = re.compile(r"(?:\d+\s+[\d:]+|[\d:.T-]+Z)?\t\s*(\d+) (\w[\w ]*?)\t(.*)")
    _KINDS: ClassVar = {"Init DB": "init_db", "Close stmt": "stmt_close", "Reset stmt": "stmt_reset"}

    def __init__(self, place: Place, program: str | Path = "mariadbd", *, plain: bool = False) -> None:
        folder = place.folder
        self._log = folder / "general.log"
        self.socket = folder / "socket"
        self.port = free_port()
        self.pooled_port = free_port()
        """Whose sessions share a few threads."""
        begin = [program, "--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}", "--skip-log-bin"]
        self._prepare(place, begin, "NONE" if plain else "SSL")
        self.process = place.start(
            *begin, *self._flags(), "--bind-address=127.0.0.1", f"--socket={self.socket}", f"--pid-file={folder}/pid",
            f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem", f"--require-secure-transport={not plain:d}",
            "--max-connections=600", "--general-log=on", f"--general-log-file={self._log}", "--local-infile=on",
            "--max-allowed-packet=64M", f"--log-error={folder}/error.log",
        )  # fmt: skip
        try:
            wait_for_port(self.port)
        except AssertionError as error:
            raise AssertionError((folder / "error.log").read_text()) from error

    def _prepare(self, place: Place, begin: list[str | Path], requirement: str) -> None:
        """Make its tables and users."""
        data = place.folder / "data"
        data.mkdir()
        os.chown(data, _ACCOUNT.pw_uid, _ACCOUNT.pw_gid)
        tables = self._tables(place.root or Path("/"))
        place.run(*begin, "--bootstrap", told=tables + self._users(requirement).encode())

    def _flags(self) -> list[str]:
        return [
            "--innodb-flush-method=nosync", "--thread-handling=pool-of-threads", "--thread-pool-size=2",
            f"--port={self.pooled_port}", f"--extra-port={self.port}", "--extra-max-connections=600",
        ]  # fmt: skip

    @staticmethod
    def _tables(root: Path) -> bytes:
        """What makes its own tables; newer releases name everything after MariaDB."""
        brand = next(
            name
            for name in ("mariadb", "mysql")
            if (root / f"usr/share/{name}/{name}_system_tables.sql").exists()
        )
        names = (
            f"{brand}_{name}.sql" for name in ("system_tables", "performance_tables", "system_tables_data")
        )
        tables = "".join((root / "usr/share" / brand / name).read_text() for name in names)
        return f"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n{tables}FLUSH PRIVILEGES;\n".encode()

    @staticmethod
    def _users(requirement: str) -> str:
        return (
            f"CREATE DATABASE {DATABASE};\nCREATE DATABASE bank;\n"
            f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}' REQUIRE {requirement};\nGRANT ALL ON *.* TO {USER};\n"
        )

    @property
    def size(self) -> int:
        """Bytes of its log so far."""
        return self._log.stat().st_size

    def logged(self, since: int) -> list[Logged]:
        """What it was asked, in order, since its log had that size; waits for the last session's end."""
        return list(wait_for(lambda: self._ended(since), "the end of a session in MariaDB's log"))

    def _ended(self, since: int) -> list[Logged]:
        lines = self._log.read_bytes()[since:].decode(errors="replace").split("\n")
        found = [self._LINE.fullmatch(line) for line in lines]
        asked = [
            Logged(self._KINDS.get(line[2], line[2].lower()), line[3], int(line[1])) for line in found if line
        ]
        ended = bool(asked) and asked[-1].kind == "quit"
        return [each._replace(text="") if each.kind == "connect" else each for each in asked if ended]


class MySql(MariaDb):
    """A MySQL server with its general log."""

    def _prepare(self, place: Place, begin: list[str | Path], requirement: str) -> None:
        users = place.folder / "users.sql"
        users.write_text(self._users(requirement))
        place.run(*begin, "--initialize-insecure", f"--init-file={users}")

    def _flags(self) -> list[str]:
        return ["--mysqlx=off", "--secure-file-priv=", f"--port={self.port}"]


class PostgreSql:
    """A PostgreSQL server with its log as CSV."""

    _MESSAGE = re.compile(r"(statement|execute) ?([^:]*): (.*)", re.DOTALL)

    def __init__(self, place: Place, binaries: Path | None = None, *, plain: bool = False) -> None:
        folder = place.folder
        self._log = folder / "log/log.csv"
        self.socket = folder
        """The folder of its Unix socket."""
        self.port = free_port()
        binaries = binaries or self.binaries()
        data, word = folder / "data", folder / "password"
        word.write_text(PASSWORD)
        place.run(
            binaries / "initdb", "-D", data, "-N", "-A", "scram-sha-256", "-U", USER, f"--pwfile={word}", "-E", "UTF8",
            "--no-locale",
        )  # fmt: skip
        (data / "pg_hba.conf").write_text(
            f"{'host' if plain else 'hostssl'} all all 127.0.0.1/32 scram-sha-256\n"
            "local all all scram-sha-256\n"
        )
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
            "ssl": "on", "ssl_cert_file": folder / "cert.pem", "ssl_key_file": folder / "key.pem",
            "logging_collector": "on", "log_destination": "csvlog", "log_directory": self._log.parent,
            "log_filename": "log", "max_connections": 150, "log_statement": "all", "log_disconnections": "on",
            "password_encryption": "scram-sha-256",
        }  # fmt: skip
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = place.start(binaries / "postgres", "-D", data, *flags)
        wait_for(self._log.exists, "PostgreSQL's log")
        wait_for_port(self.port)

    @staticmethod
    def binaries() -> Path:
        """Debian keeps each version in a folder of its own; the newest one."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        assert found, "PostgreSQL's server is missing: install the package postgresql-15 (make test does)"
        return found[-1]

    @property
    def size(self) -> int:
        """Bytes of its log so far."""
        return self._log.stat().st_size

    def asked(self, since: int) -> list[Logged]:
        """What it was asked and could understand, in order, since its log had that size; waits for a session's end."""
        rows = wait_for(lambda: self._ended(since), "the end of a session in PostgreSQL's log")
        found = [(self._MESSAGE.fullmatch(message), pid) for pid, message in rows]
        kinds = {"statement": "query", "execute": "execute"}
        return [Logged(kinds[match[1]], match[3], pid) for match, pid in found if match]

    def _ended(self, since: int) -> list[tuple[int, str]]:
        """Process and message of each line, once the last one is a session's end (manual section 20.8.4)."""
        text = self._log.read_bytes()[since:].decode()
        rows = [row for row in csv.reader(io.StringIO(text)) if len(row) > 13]
        whole = text.endswith("\n") and rows and rows[-1][13].startswith("disconnection:")
        return [(int(row[3]), row[13]) for row in rows] if whole else []


def _client(
    programs: Programs, script: str, port: int, requirements: tuple[str, ...], words: tuple[str, ...]
) -> tuple[list[str | Path], dict[str, str]]:
    """The command of a client of tests/victims/sql, and the environment in which it finds packages of PyPI."""
    paths = [str(wheels(requirement)) for requirement in requirements]
    command = [sys.executable, SOURCES / "sql" / f"{script}.py", str(port), USER, PASSWORD, DATABASE, *words]
    return command, {**programs.env, "PYTHONPATH": os.pathsep.join(paths)}


def run_client(
    programs: Programs, script: str, port: int, *requirements: str, words: tuple[str, ...] = ()
) -> list[Any]:
    """Run a client to its end; return what its driver says of each command."""
    command, env = _client(programs, script, port, requirements, words)
    done = programs.run(*command, env=env, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def run_around(
    programs: Programs, port: int, driver: str, *requirements: str, begin: Callable[[], Any]
) -> None:
    """Run the client that waits in the middle, and `begin` while it waits."""
    command, env = _client(programs, "middle_client", port, requirements, (driver,))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    client = programs.start(*command, env=env, **pipes)
    assert client.stdout
    assert client.stdout.readline() == b"prepared\n", client.communicate()[1].decode()
    begin()
    _, errors = client.communicate(b"\n", timeout=PATIENCE)
    assert client.returncode == 0, errors.decode()


def queries(messages: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    """The messages of one end, those that say what became of one command."""
    return [message for message in messages if message["type"] == "query" and message["role"] == role]


@contextmanager
def private_mariadb(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, MariaDb, Path]]:
    """Programs, a MariaDB among them from a copy of its own, and that copy; with and without TLS."""
    with workplace(certificate) as (tls, folder):
        found = shutil.which("mariadbd")
        assert found, "MariaDB's server is missing: install the package mariadb-server-core (make test does)"
        program = shutil.copy(found, tls.libssl.parent / "mariadbd")
        programs = Programs(tls)
        try:
            yield programs, MariaDb(Place(programs, folder), program, plain=True), program
        finally:
            programs.end_all()


@contextmanager
def private_postgres(certificate: tuple[Path, Path]) -> Iterator[tuple[Place, Path]]:
    """Where PostgreSQL may run, and the folder of its programs, copies of its own."""
    with workplace(certificate) as (tls, folder):
        binaries = tls.libssl.parent
        for name in ("initdb", "postgres"):
            shutil.copy(PostgreSql.binaries() / name, binaries / name)
        programs = Programs(tls)
        try:
            yield Place(programs, folder), binaries
        finally:
            programs.end_all()
