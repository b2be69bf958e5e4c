"""Database servers watched where they read and write: with TLS or without, what they log is what is shown."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.databases import (
    DATABASE,
    PASSWORD,
    USER,
    MariaDb,
    PostgreSql,
    queries,
    run_client,
    workplace,
)
from tests.kernel.running import Capture, Programs, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PYMYSQL = "PyMySQL==1.1.1"
CONNECTOR = "mysql-connector-python==9.1.0"
PSYCOPG = ("psycopg==3.2.3", "typing_extensions==4.12.2")
PREPARE = {"prepare", "sync"}


@pytest.fixture(scope="module")
def mariadb(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, MariaDb, Path]]:
    """Programs, a MariaDB among them from a copy of its own, and that copy."""
    with workplace(certificate) as (tls, folder):
        found = shutil.which("mariadbd")
        assert found, "MariaDB's server is missing: install the package mariadb-server-core (make test does)"
        program = shutil.copy(found, tls.libssl.parent / "mariadbd")
        programs = Programs(tls)
        try:
            yield programs, MariaDb(programs, folder, program, plain=True), program
        finally:
            programs.end_all()


@pytest.fixture(scope="module")
def postgres(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, PostgreSql, Path]]:
    """Programs, a PostgreSQL among them from a copy of its own, and that copy."""
    with workplace(certificate) as (tls, folder):
        binaries = tls.libssl.parent
        for name in ("initdb", "postgres"):
            shutil.copy(PostgreSql.binaries() / name, binaries / name)
        programs = Programs(tls)
        try:
            yield programs, PostgreSql(programs, folder, binaries, plain=True), binaries / "postgres"
        finally:
            programs.end_all()


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`audit(command, program, *flags)` starts `pellucid command` on one program, and returns when it is ready."""
    started: list[Capture] = []

    def start(command: str, program: Path, *flags: str) -> Capture:
        words = [sys.executable, "-m", "pellucid", command, "-m", str(program), *flags]
        started.append(Capture(words, tmp_path / f"capture{len(started)}"))
        return started[-1].wait_until_ready()

    yield start
    for run in started:
        run.kill()


def sessions(messages: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The commands of each connection, in the order in which they came."""
    found: dict[int, list[dict[str, Any]]] = {}
    for message in queries(messages, "server"):
        found.setdefault(message["conn"], []).append(message)
    return [*found.values()]


def code(message: dict[str, Any]) -> str | None:
    """With what it was refused."""
    return message["failure"] and message["failure"]["code"]


def check_all_is_seen(run: Capture, messages: list[dict[str, Any]], program: Path) -> None:
    """No byte is lost or unclaimed, no password is shown, and every connection is complete and the server's."""
    assert PASSWORD not in run.events.read_text()
    assert not [message for message in messages if message["type"] == "data"]
    assert messages[-1]["lost"] == {}
    ends = [message for message in messages if message["type"] == "connection"]
    assert {("opened", "new"), ("closed", "new")} == {(each["event"], each["started"]) for each in ends}
    assert {(program.name, None)} == {(each["library"], each["tls"]) for each in ends}


@pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])
def test_mariadb(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """200 commands are as MariaDB's log has them, with the driver's rows and errors, in TLS and without."""
    programs, server, program = mariadb
    since = server.size
    run = audit("mysqld", program)
    failed_login, *told = run_client(programs, "pymysql_client", server.port, PYMYSQL, words=words)
    logged = server.logged(since)
    messages = run.stop()

    [refused], [login, *shown] = sessions(messages)
    assert ("connect", failed_login["error"]) == (refused["kind"], code(refused))
    assert ("connect", USER, DATABASE) == (login["kind"], login["user"], login["database"])
    truth = [(each.kind, each.text) for each in logged if each.session == logged[-1].session]
    pairs = [(message["kind"], message["query"] or "") for message in shown]
    assert truth[1:] == [pair for pair in pairs if pair != ("ping", "")]
    by_text = {message["query"] or "": message for message in shown}
    for each in told:
        assert each["rows"] in {None, by_text[each["text"]]["rows"]}, each
        assert each["error"] == code(by_text[each["text"]])
    assert len(told) > 190
    assert {(message["user"], message["error"]) for message in shown} == {(USER, None)}
    check_all_is_seen(run, messages, program)


@pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])
def test_postgresql(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """200 commands are as PostgreSQL's log has them, with the driver's values, rows and errors, in TLS and without."""
    programs, server, program = postgres
    since = server.size
    run = audit("postgres", program)
    failed_login, *told = run_client(programs, "psycopg_client", server.port, *PSYCOPG, words=words)
    asked = server.asked(since)
    messages = run.stop()

    [refused], [login, *between, last] = sessions(messages)
    assert ("connect", USER, failed_login["error"]) == (refused["kind"], refused["user"], code(refused))
    assert ("connect", USER, "terminate") == (login["kind"], login["user"], last["kind"])
    shown = [message for message in between if message["kind"] not in PREPARE]
    # It divides when it plans, at Bind: what fails there was not executed, and is not in its log.
    executed = [message["query"] for message in shown if code(message) != "22012"]
    assert [each.text for each in asked] == executed
    for each, message in zip(told, shown, strict=True):
        assert each["text"] == re.sub(r"\$\d", "${}", message["query"])
        assert each.get("error") == code(message)
        assert each["rows"] in {-1, None, message["rows"]}, each
        if each.get("parameters"):
            assert [*map(str, each["parameters"])] == [*map(str, message["parameters"])]
    assert {(each["user"], each["database"], each["error"]) for each in shown} == {(USER, "postgres", None)}
    check_all_is_seen(run, messages, program)


def test_statements_that_mariadb_has_prepared(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]
) -> None:
    """Values that a driver has bound are shown as they were, of all eight types, with its rows."""
    programs, server, program = mariadb
    since = server.size
    run = audit("mysqld", program, "--kind", "execute")
    told = run_client(programs, "connector_client", server.port, CONNECTOR)
    server.logged(since)
    messages = run.stop()
    shown = [
        (each["query"], [plain(value) for value in each["parameters"]], each["rows"])
        for each in queries(messages, "server")
    ]
    assert [(each["text"], each["parameters"], each["rows"]) for each in told] == shown
    assert len(shown) == 80


def plain(value: Any) -> Any:
    """A value as the client has told it: bytes in hex."""
    return base64.b64decode(value["base64"]).hex() if isinstance(value, dict) else value


def test_a_unix_socket(postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]) -> None:
    """What comes by a Unix socket is seen as well; it has no addresses."""
    programs, server, program = postgres
    run = audit("postgres", program)
    env = {**programs.env, "PGPASSWORD": PASSWORD, "PSQLRC": "/dev/null"}
    where = ("-h", server.socket, "-p", str(server.port), "-U", USER, "-d", "postgres")
    programs.run("psql", *where, "-c", "SELECT generate_series(1, 9)", env=env)
    wait_for(lambda: [each for each in run.messages("connection") if each["event"] == "closed"], "its end")
    login, query, _ = queries(run.stop(), "server")
    assert ("connect", USER, None) == (login["kind"], login["user"], login["failure"])
    assert ("SELECT generate_series(1, 9)", 9, None, None) == tuple(
        query[name] for name in ("query", "rows", "src", "dst")
    )


def test_filters_and_shapes(mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]) -> None:
    """Only what the filters allow is shown, and the closing table counts just that, by the driver's own count."""
    programs, server, program = mariadb
    since = server.size
    flags = ("--user", USER, "--database", DATABASE, "--kind", "query", "--slower-than", "0")
    run = audit("mysqld", program, *flags, "--fingerprint")
    _, *told = run_client(programs, "pymysql_client", server.port, PYMYSQL)
    server.logged(since)
    messages = run.stop()
    shown = queries(messages, "server")
    assert {(USER, DATABASE, "query")} == {(each["user"], each["database"], each["kind"]) for each in shown}
    shapes = {each["shape"]: each for each in messages if each["type"] == "shape"}
    for shape, begin in (
        ("INSERT INTO goods VALUES (...)", "INSERT INTO goods"),
        ("SELECT * FROM goods WHERE id < ?", "SELECT * FROM goods WHERE"),
        ("UPDATE goods SET price = price + ? WHERE id % ? = ?", "UPDATE"),
    ):
        own = [each for each in told if each["text"].startswith(begin)]
        assert (len(own), sum(each["rows"] or 0 for each in own)) == (
            shapes[shape]["count"],
            shapes[shape]["rows"],
        )
    refused = [each for each in told if each["error"]]
    assert sum(each["errors"] for each in shapes.values()) == len(refused)
    assert sum(each["count"] for each in shapes.values()) == len(shown) == messages[-1]["captured"]["query"]


def check_crowd(run: Capture, told: list[Any]) -> None:
    """Every session is whole, in order, at the port that its client says, and has nothing of another one."""

    def ended() -> bool:
        return len([each for each in run.messages("connection") if each["event"] == "closed"]) == len(told)

    wait_for(ended, "the end of all sessions")
    messages = run.stop()
    marked = [
        [each for each in session if each["kind"] == "query" and "session" in each["query"]]
        for session in sessions(messages)
    ]
    shown = {session[0]["src"]: [each["query"] for each in session] for session in marked}
    truth = {
        f"127.0.0.1:{each['port']}": [
            f"SELECT 'session {each['number']}', {question}" for question in range(10)
        ]
        for each in told
    }
    assert truth == shown
    assert {(each["rows"], each["user"]) for session in marked for each in session} == {(1, USER)}
    assert messages[-1]["lost"] == {}


@pytest.mark.parametrize("pooled", [False, True], ids=["a thread each", "pool of threads"])
def test_500_sessions_of_mariadb(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture], *, pooled: bool
) -> None:
    """Of 500 sessions at once, every second in TLS, none has a command of another one, whichever threads serve them."""
    programs, server, program = mariadb
    run = audit("mysqld", program)
    port = server.pooled_port if pooled else server.port
    told = run_client(programs, "crowd_client", port, PYMYSQL, words=("mysql", "500"))
    assert len(told) == 500
    check_crowd(run, told)


def test_100_sessions_of_postgresql(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """Of 100 sessions at once, every second in TLS, none has a command of another one."""
    programs, server, program = postgres
    run = audit("postgres", program)
    told = run_client(programs, "crowd_client", server.port, *PSYCOPG, words=("postgres", "100"))
    assert len(told) == 100
    check_crowd(run, told)


def check_rare(run: Capture, told: list[Any]) -> None:
    """Each text is whole, by its hash, with the driver's rows, and nothing that runs inside the server is shown."""
    wait_for(lambda: [each for each in run.messages("connection") if each["event"] == "closed"], "its end")
    messages = run.stop()
    texts = {each["sha256"] for each in told}
    shown = [each for each in shown_texts(messages) if each[0] in texts]
    assert [each["sha256"] for each in told] == [digest for digest, _ in shown]
    for each, (_, message) in zip(told, shown, strict=True):
        assert each["rows"] in {None, message["rows"]}, each
        assert (False, None, USER) == (message["truncated"], message["error"], message["user"])
    assert not any("'inner'" == (each["query"] or "")[-7:] for each in queries(messages, "server"))
    assert messages[-1]["lost"] == {}


def shown_texts(messages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The SHA-256 of each text, and its message."""
    asked = [each for each in queries(messages, "server") if each["query"] is not None]
    return [(hashlib.sha256(each["query"].encode()).hexdigest(), each) for each in asked]


def test_what_mariadb_is_seldom_asked(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]
) -> None:
    """A procedure with three results is one command with all their rows; a text of 18 MiB is whole."""
    programs, server, program = mariadb
    run = audit("mysqld", program, "--max-body", "32000000")
    check_rare(run, run_client(programs, "rare_client", server.port, PYMYSQL, words=("mysql",)))


def test_what_postgresql_is_seldom_asked(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """Cursors, functions and notices are shown as they were asked for; a text of 18 MiB is whole."""
    programs, server, program = postgres
    run = audit("postgres", program, "--max-body", "32000000")
    check_rare(run, run_client(programs, "rare_client", server.port, *PSYCOPG, words=("postgres",)))
