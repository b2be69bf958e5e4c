"""Database servers of their own for tests, each its own witness: it logs all that it is asked. TLS is required, unless `plain`."""

from __future__ import annotations

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

_SYSTEM_TABLES = Path("/usr/share/mysql")


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


def _as_account(programs: Programs) -> dict[str, Any]:
    return {"user": _ACCOUNT.pw_uid, "group": _ACCOUNT.pw_gid, "extra_groups": [], "env": programs.env}


class Logged(NamedTuple):
    """What a server says that it was asked."""

    kind: str
    """In the words of `model.Query`."""
    text: str
    session: int


class MariaDb:
    """A MariaDB server with its general log."""

    _LINE = re.compile(r"(?:\d+\s+[\d:]+)?\t\s*(\d+) (\w[\w ]*?)\t(.*)")
    _KINDS: ClassVar = {"Init DB": "init_db", "Close stmt": "stmt_close", "Reset stmt": "stmt_reset"}

    def __init__(
        self, programs: Programs, folder: Path, program: str | Path = "mariadbd", *, plain: bool = False
    ) -> None:
        self._log = folder / "general.log"
        self.port = free_port()
        self.pooled_port = free_port()
        """Whose sessions share a few threads."""
        options = [
            "--no-defaults", f"--datadir={folder}/data", f"--tmpdir={folder}", "--innodb-log-file-size=8M",
            "--innodb-flush-method=nosync", "--skip-log-bin",
        ]  # fmt: skip
        account = _as_account(programs)
        subprocess.run(["mkdir", folder / "data"], check=True, user=account["user"])
        subprocess.run(
            [program, *options, "--bootstrap"],
            input=self._tables("NONE" if plain else "SSL"), check=True, capture_output=True, timeout=PATIENCE, **account,
        )  # fmt: skip
        self.process = programs.start(
            program, *options, "--thread-handling=pool-of-threads", "--thread-pool-size=2", f"--port={self.pooled_port}",
            f"--extra-port={self.port}", "--extra-max-connections=600", "--bind-address=127.0.0.1", f"--socket={folder}/socket",
            f"--pid-file={folder}/pid", f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem",
            f"--require-secure-transport={not plain:d}", "--max-connections=600", "--general-log=on", f"--general-log-file={self._log}",
            "--local-infile=on", "--max-allowed-packet=64M", f"--log-error={folder}/error.log", **account,
        )  # fmt: skip
        try:
            wait_for_port(self.port)
        except AssertionError as error:
            raise AssertionError((folder / "error.log").read_text()) from error

    @staticmethod
    def _tables(requirement: str) -> bytes:
        names = ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data")
        begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
        end = (
            f"CREATE DATABASE {DATABASE};\nCREATE DATABASE bank;\nFLUSH PRIVILEGES;\n"
            f"CREATE USER {USER} IDENTIFIED BY '{PASSWORD}' REQUIRE {requirement};\nGRANT ALL ON *.* TO {USER};\n"
        )
        middle = "".join((_SYSTEM_TABLES / f"{name}.sql").read_text() for name in names)
        return f"{begin}{middle}{end}".encode()

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


class PostgreSql:
    """A PostgreSQL server with its log in JSON."""

    _MESSAGE = re.compile(r"(statement|execute) ?([^:]*): (.*)", re.DOTALL)

    def __init__(
        self, programs: Programs, folder: Path, binaries: Path | None = None, *, plain: bool = False
    ) -> None:
        self._log = folder / "log"
        self.socket = folder
        """The folder of its Unix socket."""
        self.port = free_port()
        binaries = binaries or self.binaries()
        account = _as_account(programs)
        word = folder / "password"
        word.write_text(PASSWORD)
        data = folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-N", "-A", "scram-sha-256", "-U", USER, f"--pwfile={word}",
             "-E", "UTF8", "--no-locale"],
            check=True, capture_output=True, timeout=PATIENCE, cwd=folder, **account,
        )  # fmt: skip
        (data / "pg_hba.conf").write_text(
            f"{'host' if plain else 'hostssl'} all all 127.0.0.1/32 scram-sha-256\n"
            "local all all scram-sha-256\n"
        )
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
            "ssl": "on", "ssl_cert_file": folder / "cert.pem", "ssl_key_file": folder / "key.pem",
            "logging_collector": "on", "log_destination": "jsonlog", "log_directory": self._log,
            "log_filename": "log", "max_connections": 150, "log_statement": "all", "log_disconnections": "on",
        }  # fmt: skip
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.process = programs.start(binaries / "postgres", "-D", data, *flags, cwd=folder, **account)
        wait_for((self._log / "log.json").exists, "PostgreSQL's log")
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
        return (self._log / "log.json").stat().st_size

    def asked(self, since: int) -> list[Logged]:
        """What it was asked and could understand, in order, since its log had that size; waits for a session's end."""
        entries = wait_for(lambda: self._ended(since), "the end of a session in PostgreSQL's log")
        found = [(self._MESSAGE.fullmatch(entry["message"]), entry["pid"]) for entry in entries]
        kinds = {"statement": "query", "execute": "execute"}
        return [Logged(kinds[match[1]], match[3], pid) for match, pid in found if match]

    def _ended(self, since: int) -> list[dict[str, Any]]:
        lines = (self._log / "log.json").read_bytes()[since:].decode().splitlines(keepends=True)
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return entries if entries and entries[-1]["message"].startswith("disconnection:") else []


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
