"""Titles of PostgreSQL's processes: what they say is taken only where nothing else can be meant."""

from __future__ import annotations

import pytest

from pellucid.attach.logins import _Process, read_titles
from pellucid.model import Login


def read(title: str, cluster: str = "") -> list[Login]:
    """What a session's title says, beside the checkpointer of its server."""
    titles = [f"postgres: {cluster}checkpointer ", f"postgres: {cluster}{title}"]
    return [*read_titles([_Process(2 + at, 1, 700 + at, text) for at, text in enumerate(titles)])]


@pytest.mark.parametrize("cluster", ["", "15/main: ", "a: b: "])
@pytest.mark.parametrize(
    "client",
    [
        "127.0.0.1(36490) idle",
        "[local] idle in transaction",
        "127.0.0.1(36490) idle in transaction (aborted)",
        "[local] idle in transaction (aborted) ",
        "::1(5) SELECT waiting",
        "a.example(7) PARSE",
    ],
)
def test_a_session(cluster: str, client: str) -> None:
    """User and database stand before the client, behind the name that the cluster's other processes bear too."""
    assert read(f"anna shop {client}", cluster) == [Login(3, 701, "anna", "shop")]


@pytest.mark.parametrize(
    "title",
    [
        "anna lee shop 127.0.0.1(36490) idle",
        "anna shop 1.1.1.1(1) 127.0.0.1(36490) idle",
        "anna shop [local] 127.0.0.1(36490) idle",
        "anna shop 1.1.1.1(1) [local] idle",
        "anna shop [local] idle in transaction (aborted) 1.1.1.1(1) idle",
        "anna shop 127.0.0.1(36490) idle (aborted)",
        "walsender anna 127.0.0.1(36490) streaming 0/1",
        "walsender anna shop 127.0.0.1(36490) START_REPLICATION",
        "autovacuum worker shop",
        "anna shop",
        "b: anna shop 127.0.0.1(36490) idle",
    ],
)
def test_what_can_be_read_in_two_ways(title: str) -> None:
    """Names with blanks, brackets or what looks like a cluster's name, and processes that are no sessions, say nothing."""
    assert read(title) == []


def test_without_a_checkpointer() -> None:
    """Of a process that is no child of a server's nothing is believed, whatever it calls itself."""
    assert [*read_titles([_Process(3, 1, 700, "postgres: anna shop 127.0.0.1(36490) idle")])] == []
