"""MariaDB with TLS required: what drivers and the server's general log say is what is shown, at both ends."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.databases import (
    DATABASE,
    PASSWORD,
    USER,
    MariaDb,
    Place,
    queries,
    run_around,
    run_client,
    workplace,
)
from tests.kernel.running import Capture, Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PYMYSQL = "PyMySQL==1.1.1"
CONNECTOR = "mysql-connector-python==9.1.0"


@pytest.fixture(scope="module")
def place(certificate: tuple[Path, Path]) -> Iterator[tuple[Programs, MariaDb, Path]]:
    """Programs with a private libssl, a server among them, and that libssl."""
    with workplace(certificate) as (tls, folder):
        programs = Programs(tls)
        try:
            yield programs, MariaDb(Place(programs, folder)), tls.libssl
        finally:
            programs.end_all()


def brief(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kind and text of each."""
    return [(message["kind"], message["query"] or "") for message in messages]


def test_text_commands(place: tuple[Programs, MariaDb, Path], capture: Callable[..., Capture]) -> None:
    """200 commands are seen at both ends as the server's log has them, with the driver's rows and errors."""
    programs, server, libssl = place
    since = server.size
    run = capture(libssl=libssl)
    told = run_client(programs, "pymysql_client", server.port, PYMYSQL)
    logged = server.logged(since)
    messages = run.stop()

    own = [each for each in logged if each.session == logged[-1].session]
    truth = [(each.kind, each.text) for each in own if each.kind != "connect"]
    failed_login, *rest = told
    for role in ("client", "server"):
        refused, login, *shown = queries(messages, role)
        assert ("connect", failed_login["error"]) == (refused["kind"], refused["failure"]["code"])
        assert ("connect", USER, DATABASE, None) == (
            login["kind"],
            login["user"],
            login["database"],
            login["failure"],
        )
        assert truth == [pair for pair in brief(shown) if pair != ("ping", "")]
        by_text = {message["query"] or "": message for message in shown}
        for each in rest:
            message = by_text[each["text"]]
            assert each["rows"] in {None, message["rows"]}, each
            assert each["error"] == (message["failure"] and message["failure"]["code"])
        assert by_text["SELECT 'in the bank'"]["database"] == "bank"
        assert by_text["SELECT 1 FROM nowhere_1"]["database"] == DATABASE
        assert {message["error"] for message in shown} == {None}
        assert {message["user"] for message in shown} == {USER}
    assert len(rest) > 190
    assert PASSWORD not in run.events.read_text()
    assert not [message for message in messages if message["type"] == "data"]
    assert messages[-1]["lost"] == {}


@pytest.mark.parametrize("words", [(), ("compress",)], ids=["plain", "compressed"])
def test_prepared_statements(
    place: tuple[Programs, MariaDb, Path], capture: Callable[..., Capture], words: tuple[str, ...]
) -> None:
    """Values that a driver has bound are shown as they were, with its rows, also where it compresses."""
    programs, server, libssl = place
    since = server.size
    run = capture(libssl=libssl)
    told = run_client(programs, "connector_client", server.port, CONNECTOR, words=words)
    logged = server.logged(since)
    messages = run.stop()

    kinds = {"connect", "query", "prepare", "execute", "stmt_close", "stmt_reset", "quit"}
    order = [each.kind for each in logged if each.kind in kinds]
    prepared = [each.text for each in logged if each.kind == "prepare"]
    for role in ("client", "server"):
        shown = [message for message in queries(messages, role) if message["kind"] in kinds]
        executed = [message for message in shown if message["kind"] == "execute"]
        assert order == [message["kind"] for message in shown]
        assert prepared == [message["query"] for message in shown if message["kind"] == "prepare"]
        assert [each["text"] for each in told] == [message["query"] for message in executed]
        assert [each["rows"] for each in told] == [message["rows"] for message in executed]
        assert [each["parameters"] for each in told] == [plain(message["parameters"]) for message in executed]
    assert messages[-1]["lost"] == {}


def test_the_middle_of_a_session(
    place: tuple[Programs, MariaDb, Path], capture: Callable[..., Capture]
) -> None:
    """What was prepared, and who logged in, before the capture is null; what is asked in it is known."""
    programs, server, libssl = place
    since = server.size
    runs: list[Capture] = []
    run_around(programs, server.port, "mysql", CONNECTOR, begin=lambda: runs.append(capture(libssl=libssl)))
    server.logged(since)
    messages = runs[0].stop()
    for role in ("client", "server"):
        execute, query = [each for each in queries(messages, role) if each["kind"] in {"execute", "query"}][
            :2
        ]
        assert (None, None, None, 1) == tuple(execute[name] for name in ("user", "database", "query", "rows"))
        assert (None, None, "SELECT 'plain'", 1) == tuple(
            query[name] for name in ("user", "database", "query", "rows")
        )


def plain(values: list[Any]) -> list[Any]:
    """Values as the client has told them: bytes in hex."""
    return [base64.b64decode(value["base64"]).hex() if isinstance(value, dict) else value for value in values]
