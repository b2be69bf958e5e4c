"""Database servers watched where they read and write: with TLS or without, what they log is what is shown."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.audits import CONNECTOR, PSYCOPG, PYMYSQL, check_mysql, check_postgresql, sessions
from tests.kernel.databases import (
    DATABASE,
    PASSWORD,
    USER,
    MariaDb,
    PostgreSql,
    private_mariadb,
    private_postgres,
    queries,
    run_around,
    run_client,
)
from tests.kernel.running import Capture, Programs, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def mariadb(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, MariaDb, Path]]:
    """Programs, a MariaDB among them from a copy of its own, and that copy."""
    with private_mariadb(certificate) as found:
        yield found


@pytest.fixture(scope="module")
def postgres(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, PostgreSql, Path]]:
    """Programs, a PostgreSQL among them from a copy of its own, and that copy."""
    with private_postgres(certificate) as (place, binaries):
        yield place.programs, PostgreSql(place, binaries, plain=True), binaries / "postgres"


@pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])
def test_mariadb(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """200 commands are as MariaDB's log has them, with the driver's rows and errors, in TLS and without."""
    check_mysql(*mariadb, audit, words)


@pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])
def test_postgresql(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """200 commands are as PostgreSQL's log has them, with the driver's values, rows and errors, in TLS and without."""
    check_postgresql(*postgres, audit, words)


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
    """Every session is whole, in order, at the port that its client says when it opens, asks and closes, and has nothing of another one."""

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
    ends = [(each["role"], each["src"]) for each in messages if each["type"] == "connection"]
    assert sorted(ends) == sorted(("server", port) for port in [*truth, *truth])
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


def test_a_cursor_of_mariadb(mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]) -> None:
    """What is fetched of a cursor is counted with each fetch, by the text that was prepared."""
    programs, server, program = mariadb
    since = server.size
    run = audit("mysqld", program)
    [told] = run_client(programs, "cursor_client", server.port)
    server.logged(since)
    shown = [(each["kind"], each["query"], each["rows"]) for each in queries(run.stop(), "server")]
    fetches = [("stmt_fetch", told["text"], rows) for rows in (10, 10, 5)]
    assert told["fetched"] == [*range(1, 26)]
    assert shown[2:6] == [("execute", told["text"], None), *fetches]


def test_what_postgresql_is_seldom_asked(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """Cursors, functions and notices are shown as they were asked for; a text of 18 MiB is whole."""
    programs, server, program = postgres
    run = audit("postgres", program, "--max-body", "32000000")
    check_rare(run, run_client(programs, "rare_client", server.port, *PSYCOPG, words=("postgres",)))


def older(run: Callable[[], Capture], programs: Programs, port: int, driver: str, *packages: str) -> Capture:
    """A capture that begins in the middle of a session, and sees its end."""
    runs: list[Capture] = []
    run_around(programs, port, driver, *packages, begin=lambda: runs.append(run()))
    return runs[0]


def test_who_is_in_an_older_session_of_postgresql(
    postgres: tuple[Programs, PostgreSql, Path], audit: Callable[..., Capture]
) -> None:
    """It is what the server's process says. Of what was prepared before the capture began the text is not known."""
    programs, server, program = postgres
    since = server.size
    run = older(lambda: audit("postgres", program), programs, server.port, "postgres", *PSYCOPG)
    server.asked(since)
    messages = run.stop()
    shown = [(each["user"], each["database"], each["query"]) for each in queries(messages, "server")]
    ends = {(each["role"], each["src"]) for each in messages if "role" in each}
    assert {role for role, _ in ends} == {"server"}
    assert len(ends) == 1
    texts = [None, "SELECT 'plain'", "COMMIT"]
    assert shown[:3] == [(USER, "postgres", text) for text in texts]


def test_who_is_in_an_older_session_of_mariadb(
    mariadb: tuple[Programs, MariaDb, Path], audit: Callable[..., Capture]
) -> None:
    """It is null, and so is the text of a statement that was prepared before; what is asked from then on is known."""
    programs, server, program = mariadb
    since = server.size
    run = older(lambda: audit("mysqld", program), programs, server.port, "mysql", CONNECTOR)
    server.logged(since)
    shown = [each for each in queries(run.stop(), "server") if each["kind"] in {"execute", "query"}]
    assert {(each["user"], each["database"]) for each in shown} == {(None, None)}
    assert [each["query"] for each in shown] == [None, "SELECT 'plain'"]
