"""Real drivers at database servers that are watched: what driver and server say is what has to be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.kernel.databases import DATABASE, PASSWORD, USER, MariaDb, PostgreSql, queries, run_client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs

PYMYSQL = "PyMySQL==1.1.1"
CONNECTOR = "mysql-connector-python==9.1.0"
RSA = ("cryptography==43.0.3", "cffi==1.17.1")
"""Without TLS, PyMySQL sends MySQL 8 and newer its password encrypted by these."""
PSYCOPG = ("psycopg==3.2.3", "typing_extensions==4.12.2")
PREPARE = {"prepare", "sync"}


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


def check_mysql(
    programs: Programs,
    server: MariaDb,
    program: Path,
    audit: Callable[..., Capture],
    words: tuple[str, ...] = (),
) -> None:
    """200 commands are as the server's log has them, with the driver's rows and errors."""
    since = server.size
    run = audit("mysqld", program)
    failed_login, *told = run_client(programs, "pymysql_client", server.port, PYMYSQL, *RSA, words=words)
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


def check_postgresql(
    programs: Programs,
    server: PostgreSql,
    program: Path,
    audit: Callable[..., Capture],
    words: tuple[str, ...] = (),
) -> None:
    """200 commands are as the server's log has them, with the driver's values, rows and errors."""
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
