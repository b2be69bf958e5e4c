"""PostgreSQL with TLS required: what drivers and the server's log say is what is shown, at both ends."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.databases import (
    PASSWORD,
    USER,
    Place,
    PostgreSql,
    queries,
    run_around,
    run_client,
    workplace,
)
from tests.kernel.packages import wheels
from tests.kernel.running import Capture, Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PSYCOPG = ("psycopg==3.2.3", "typing_extensions==4.12.2")
ASYNCPG = "asyncpg==0.30.0"
PSYCOPG2 = "psycopg2-binary==2.9.11"


@pytest.fixture(scope="module")
def place(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, PostgreSql, Path]]:
    """Programs with a private libssl, a server among them, and that libssl."""
    with workplace(certificate) as (tls, folder):
        programs = Programs(tls)
        try:
            yield programs, PostgreSql(Place(programs, folder)), tls.libssl
        finally:
            programs.end_all()


def commands(messages: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    """What one end shows of the session that logged in, from its second message to the last but one."""
    shown = [message for message in queries(messages, role) if message["kind"] not in {"prepare", "sync"}]
    assert ["connect", "terminate"] == [shown[0]["kind"], shown[-1]["kind"]]
    return shown[1:-1]


def code(message: dict[str, Any]) -> str | None:
    """The SQLSTATE with which it was refused."""
    return message["failure"] and message["failure"]["code"]


def test_commands_of_many_kinds(
    place: tuple[Programs, PostgreSql, Path], capture: Callable[..., Capture]
) -> None:
    """200 commands are seen at both ends as the server's log has them, with the driver's values, rows and errors."""
    programs, server, libssl = place
    since = server.size
    run = capture(libssl=libssl)
    failed_login, *told = run_client(programs, "psycopg_client", server.port, *PSYCOPG)
    asked = server.asked(since)
    messages = run.stop()

    assert len(told) > 190
    for role in ("client", "server"):
        refused, *others = queries(messages, role)
        assert ("connect", USER, failed_login["error"]) == (
            refused["kind"], refused["user"], code(refused)
        )  # fmt: skip
        shown = commands([message for message in others if message["conn"] != refused["conn"]], role)
        # It divides when it plans, at Bind: what fails there was not executed, and is not in its log.
        executed = [message for message in shown if code(message) != "22012"]
        assert [each.text for each in asked] == [message["query"] for message in executed]
        for each, message in zip(told, shown, strict=True):
            assert each["text"] == re.sub(r"\$\d", "${}", message["query"])
            assert each.get("error") == code(message)
            if each["rows"] not in {-1, None}:
                assert each["rows"] == message["rows"], each
            if each.get("parameters"):
                assert [str(value) for value in each["parameters"]] == [
                    str(value) for value in message["parameters"]
                ]
        assert {message["database"] for message in shown} == {"postgres"}
        assert {message["error"] for message in shown} == {None}
        assert ["copy", "copy"] == [message["kind"] for message in shown][-2:]
    assert PASSWORD not in run.events.read_text()
    assert not [message for message in messages if message["type"] == "data"]
    assert messages[-1]["lost"] == {}


def test_binary_values_and_long_pipelines(
    place: tuple[Programs, PostgreSql, Path], capture: Callable[..., Capture]
) -> None:
    """Values of eleven types that asyncpg binds, 500 executions in one go, and a cursor's parts are as it says."""
    programs, server, libssl = place
    since = server.size
    run = capture(libssl=libssl)
    told = run_client(programs, "asyncpg_client", server.port, ASYNCPG)
    server.asked(since)
    messages = run.stop()

    texts = {each["text"] for each in told}
    for role in ("client", "server"):
        shown = [
            message
            for message in commands(messages, role)
            if message["query"] in texts and message["rows"] != 0
        ]
        assert [(each["text"], each["rows"]) for each in told] == [
            (each["query"], each["rows"]) for each in shown
        ]
        assert [each["parameters"] for each in told] == [each.get("parameters") for each in shown]
    assert messages[-1]["lost"] == {}


def test_psql(place: tuple[Programs, PostgreSql, Path], capture: Callable[..., Capture]) -> None:
    """Several statements in one go are one query, with the rows of all; so are those of psql's own."""
    programs, server, libssl = place
    since = server.size
    run = capture(libssl=libssl)
    env = {**programs.env, "PGPASSWORD": PASSWORD, "PGSSLMODE": "require", "PSQLRC": "/dev/null"}
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", USER, "-d", "postgres")
    programs.run("psql", *where, "-c", "SELECT 1; SELECT generate_series(1, 9)", "-c", "\\d", env=env)
    server.asked(since)
    messages = run.stop()
    for role in ("client", "server"):
        shown = commands(messages, role)
        assert ("query", "SELECT 1; SELECT generate_series(1, 9)", 10) == (
            shown[0]["kind"], shown[0]["query"], shown[0]["rows"]
        )  # fmt: skip
    assert messages[-1]["lost"] == {}


def test_the_middle_of_a_session(
    place: tuple[Programs, PostgreSql, Path], capture: Callable[..., Capture]
) -> None:
    """What was prepared, and who logged in, before the capture is null; what is asked in it is known."""
    programs, server, libssl = place
    since = server.size
    runs: list[Capture] = []
    run_around(programs, server.port, "postgres", *PSYCOPG, begin=lambda: runs.append(capture(libssl=libssl)))
    server.asked(since)
    messages = runs[0].stop()
    for role in ("client", "server"):
        execute, query = [each for each in queries(messages, role) if each["kind"] in {"execute", "query"}][
            :2
        ]
        assert (None, None, None, 1) == tuple(execute[name] for name in ("user", "database", "query", "rows"))
        assert execute["parameters"]
        assert (None, None, "SELECT 'plain'", 1) == tuple(
            query[name] for name in ("user", "database", "query", "rows")
        )


def test_a_drivers_own_openssl(
    place: tuple[Programs, PostgreSql, Path], capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """psycopg2's wheel carries an OpenSSL of its own: watched in that file, the client's end is seen."""
    programs, server, _ = place
    package = shutil.copytree(wheels(PSYCOPG2), tmp_path / "psycopg2")
    (own,) = package.glob("psycopg2_binary.libs/libssl-*")
    run = capture(libssl=own)
    script = (
        "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]).cursor(); c.execute('SELECT %s', ('a',))"
    )
    where = (
        f"host=127.0.0.1 port={server.port} user={USER} password='{PASSWORD}' dbname=postgres sslmode=require"
    )
    programs.run(sys.executable, "-c", script, where, env={**os.environ, "PYTHONPATH": str(package)})
    messages = run.stop()
    shown = [(each["kind"], each["query"], each["rows"]) for each in commands(messages, "client")]
    assert [("query", "BEGIN", None), ("query", "SELECT 'a'", 1)] == shown
    assert {each["user"] for each in queries(messages, "client")} == {USER}
