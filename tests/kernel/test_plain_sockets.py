"""What a database server's sockets tell of connections without TLS, and what they must not tell."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pellucid.attach import plain
from pellucid.attach.plain import check_kernel
from pellucid.errors import PellucidError
from tests.kernel.audits import CONNECTOR, PSYCOPG, PYMYSQL, check_mysql, check_postgresql
from tests.kernel.databases import (
    PASSWORD,
    USER,
    MariaDb,
    Place,
    PostgreSql,
    private_mariadb,
    private_postgres,
    queries,
    run_around,
    run_client,
)
from tests.kernel.running import Capture, Programs, free_port, wait_for, wait_for_port
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAYS = pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])


@pytest.fixture(scope="module")
def place(certificate: tuple[Path, Path]) -> Iterator[tuple[Place, Path]]:
    """Where PostgreSQL runs, and the folder of its own copy."""
    with private_postgres(certificate) as found:
        yield found


@pytest.fixture(scope="module")
def postgres(place: tuple[Place, Path]) -> tuple[Programs, PostgreSql, Path]:
    """Programs, the server among them, and its program."""
    where, binaries = place
    return where.programs, PostgreSql(where, binaries, plain=True), binaries / "postgres"


@pytest.fixture(scope="module")
def mariadb(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, MariaDb, Path]]:
    """Programs, a MariaDB among them from a copy of its own, and that copy."""
    with private_mariadb(certificate) as found:
        yield found


def test_a_server_that_begins_later(place: tuple[Place, Path], audit: Callable[..., Capture]) -> None:
    """From its first session on nothing is missing."""
    where, binaries = place
    folder = binaries.parent / "later"
    folder.mkdir()
    for path in where.folder.glob("*.pem"):
        shutil.copy2(path, folder)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, 65534, 65534)
    run = audit("postgres", binaries / "postgres")
    server = PostgreSql(where._replace(folder=folder), binaries, plain=True)
    check_postgresql(where.programs, server, binaries / "postgres", lambda *_: run, ("plain",))


@WAYS
def test_each_call_of_postgresql(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """With `--sites entry`, as on kernels before 6.3, the same is seen by probes on each call."""
    check_postgresql(*postgres, each_call(audit), words)


@WAYS
def test_each_call_of_mariadb(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """With `--sites entry`, as on kernels before 6.3, the same is seen by probes on each call."""
    programs, server, program = mariadb
    check_mysql(programs, server, program, each_call(audit), words)


def each_call(audit: Callable[..., Capture]) -> Callable[..., Capture]:
    """A capture that does not look at sockets."""
    return lambda command, program, *flags: audit(command, program, "--sites", "entry", *flags)


def test_the_call_that_a_server_waits_in(
    postgres: tuple[Programs, PostgreSql, Path],
    audit: Callable[..., Capture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session without TLS is seen from the first bytes that come: no call has to begin after the capture."""
    programs, server, program = postgres
    monkeypatch.setenv("PGSSLMODE", "disable")  # which libpq of the client heeds
    runs: list[Capture] = []
    since = server.size
    run_around(
        programs, server.port, "postgres", *PSYCOPG, begin=lambda: runs.append(audit("postgres", program))
    )
    server.asked(since)
    messages = runs[0].stop()
    shown = [(each["kind"], each["user"], each["query"]) for each in queries(messages, "server")]
    assert shown[:3] == [
        ("execute", USER, None),
        ("query", USER, "SELECT 'plain'"),
        ("query", USER, "COMMIT"),
    ]
    assert [each["event"] for each in messages if each["type"] == "connection"] == ["opened", "closed"]


def test_what_a_server_asks_another_one(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """A connection that it makes itself is shown at the end that has accepted it, and only there."""
    programs, server, program = postgres
    run = audit("postgres", program)
    env = {**programs.env, "PGPASSWORD": PASSWORD, "PSQLRC": "/dev/null", "PGSSLMODE": "disable"}
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", USER, "-d", "postgres")
    other = f"host=127.0.0.1 port={server.port} user={USER} password=''{PASSWORD}'' dbname=postgres sslmode=disable"
    asking = f"CREATE EXTENSION dblink; SELECT * FROM dblink('{other}', 'SELECT 12321') AS answer(number int)"
    since = server.size
    done = programs.run("psql", *where, "-c", asking, env=env)
    assert b"12321" in done.stdout
    server.asked(since)
    wait_for(
        lambda: len([each for each in run.messages("connection") if each["event"] == "closed"]) > 1,
        "both ends",
    )
    messages = run.stop()
    shown = [each for each in messages if each["type"] == "query" and each["query"] == "SELECT 12321"]
    assert [each["role"] for each in shown] == ["server"]
    assert {each["role"] for each in messages if each["type"] == "query"} == {"server"}


@pytest.mark.parametrize("tls", ["0", "1"], ids=["plain", "tls"])
def test_what_a_replica_asks(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture], tls: str
) -> None:
    """A connection that MariaDB makes itself is shown at the end that has accepted it, in TLS and without."""
    programs, server, program = mariadb
    run = audit("mysqld", program)
    run_client(programs, "replica_client", server.port, PYMYSQL, words=(str(server.pooled_port), tls))
    wait_for(lambda: len(closed(run.messages("connection"))) > 1, "both ends")
    messages = run.stop()
    assert {each["role"] for each in messages if "role" in each} == {"server"}
    assert len(closed(messages)) == 2
    assert "SHOW VARIABLES LIKE 'SERVER_ID'" in {each["query"] for each in queries(messages, "server")}
    assert not [each for each in messages if each["type"] == "data"]


def test_a_client_that_sends_no_more(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """What PostgreSQL answers after the end of all that it receives belongs to the same connection."""
    programs, server, program = postgres
    run = audit("postgres", program)
    told = run_client(programs, "half_client", server.port, *PSYCOPG)
    wait_for(lambda: closed(run.messages("connection")), "its end")
    messages = run.stop()
    copy = queries(messages, "server")[-1]
    assert ("copy", told[-1]) == (copy["kind"], copy["failure"]["code"])
    assert len(closed(messages)) == 1
    assert not [each for each in messages if each["type"] == "data"]


def closed(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is told of ends of connections."""
    return [each for each in messages if each["type"] == "connection" and each["event"] == "closed"]


def test_the_end_of_an_older_session(
    mariadb: tuple[Programs, MariaDb, Path],
    audit: Callable[..., Capture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MariaDB closes the socket of a session whose object nobody has seen it make: that is its end."""
    programs, server, program = mariadb
    monkeypatch.setenv("WITHOUT_TLS", "1")
    runs: list[Capture] = []
    run_around(programs, server.port, "mysql", CONNECTOR, begin=lambda: runs.append(audit("mysqld", program)))
    wait_for(lambda: closed(runs[0].messages("connection")), "its end")
    messages = runs[0].stop()
    assert [each["event"] for each in messages if each["type"] == "connection"] == ["opened", "closed"]
    assert [each["query"] for each in queries(messages, "server")][-2:] == ["SELECT 'plain'", None]


def test_a_call_of_tls_that_a_server_waits_in(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]
) -> None:
    """What MariaDB receives in a call that is older than the capture is not taken for plaintext: it is a record of TLS."""
    programs, server, program = mariadb
    since = server.size
    runs: list[Capture] = []
    run_around(programs, server.port, "mysql", CONNECTOR, begin=lambda: runs.append(audit("mysqld", program)))
    server.logged(since)
    wait_for(lambda: closed(runs[0].messages("connection")), "its end")
    messages = runs[0].stop()
    assert [each["query"] for each in queries(messages, "server") if each["kind"] == "query"] == [
        "SELECT 'plain'"
    ]
    assert [each["event"] for each in messages if each["type"] == "connection"] == ["opened", "closed"]
    assert not [
        each for each in messages if each["type"] == "data" and each["data"].startswith("\x17\x03\x03")
    ]


def test_a_server_of_mptcp(
    certificate: tuple[Path, Path], audit: Callable[..., Capture], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose sockets are of Multipath TCP (mptcpize(8)) is seen as any other."""
    if not Path("/proc/sys/net/mptcp/enabled").exists():
        pytest.skip("this kernel has no MPTCP")
    with tempfile.TemporaryDirectory(prefix="pellucid-mptcp-") as name:
        Path(name).chmod(0o755)  # for the server is nobody
        source, library = SOURCES / "sql" / "mptcp.c", Path(name) / "mptcp.so"
        subprocess.run(["cc", "-Wall", "-Werror", "-fPIC", "-shared", "-o", library, source], check=True)
        monkeypatch.setenv("LD_PRELOAD", str(library))
        with private_mariadb(certificate) as server:
            check_mysql(*server, audit, ("plain",))


def test_a_server_whose_log_is_a_socket(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """What it logs by a socket while it turns to TLS (systemd's journal) does not make that one its client's."""
    programs, server, program = postgres
    where, port, data = Place(programs, server.socket), free_port(), server.socket / "data-of-another"
    password = server.socket / "password"
    where.run(
        program.with_name("initdb"),
        "-D",
        data,
        "-N",
        "-A",
        "scram-sha-256",
        "-U",
        USER,
        f"--pwfile={password}",
    )
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": data, "fsync": "off", "ssl": "on",
        "ssl_cert_file": server.socket / "cert.pem", "ssl_key_file": server.socket / "key.pem", "log_min_messages": "debug4",
    }  # fmt: skip
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    ours, its = socket.socketpair()
    with ours, its:
        programs.start(*where.command(program, "-D", data, *flags), stderr=its)
        programs.start("cat", stdin=ours, stdout=subprocess.DEVNULL)
        wait_for_port(port)
        run = audit("postgres", program)
        env = {**programs.env, "PGPASSWORD": PASSWORD, "PSQLRC": "/dev/null", "PGSSLMODE": "require"}
        there = ("-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", "postgres")
        programs.run("psql", *there, "-c", "SELECT 12321", env=env)
        wait_for(lambda: closed(run.messages("connection")), "its end")
        messages = run.stop()
    shown = [each for each in queries(messages, "server") if each["query"] == "SELECT 12321"]
    assert [each["dst"] for each in shown] == [f"127.0.0.1:{port}"]
    assert [each["event"] for each in messages if each["type"] == "connection"] == ["opened", "closed"]


def test_a_unix_socket_has_no_port(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """With `--port` what comes by a Unix socket is not wanted; nothing of it is missing, or undecided."""
    programs, server, program = postgres
    run = audit("postgres", program, "--port", str(server.port))
    env = {**programs.env, "PGPASSWORD": PASSWORD, "PSQLRC": "/dev/null", "PGSSLMODE": "disable"}
    for host in (str(server.socket), "127.0.0.1"):
        where = ("-h", host, "-p", str(server.port), "-U", USER, "-d", "postgres")
        programs.run("psql", *where, "-c", f"SELECT '{host}'", env=env)
    wait_for(lambda: [each for each in run.messages("connection") if each["event"] == "closed"], "its end")
    messages = run.stop()
    shown = [each["query"] for each in messages if each["type"] == "query" and each["kind"] == "query"]
    assert shown == ["SELECT '127.0.0.1'"]
    assert messages[-1]["lost"] == {}


def test_the_end_of_a_session_that_says_nothing(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]
) -> None:
    """A server that gives an idle client of its Unix socket up ends the connection, though nothing passes the socket."""
    programs, server, program = mariadb
    run = audit("mysqld", program)
    run_client(programs, "idle_client", server.port, PYMYSQL, words=(str(server.socket),))
    wait_for(lambda: [each for each in run.messages("connection") if each["event"] == "closed"], "its end")
    shown = [(each["kind"], each["query"]) for each in queries(run.stop(), "server")]
    assert shown[-1] == ("query", "SET wait_timeout = 1")


def test_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the tracepoint that is missing, as in Linux 6.2."""
    monkeypatch.setattr(plain, "SOCKET_TRACEPOINTS", (("socket_sent", "no_such_tracepoint"),))
    with pytest.raises(PellucidError, match="no_such_tracepoint: No such file or directory"):
        check_kernel()
