"""The settings of `pellucid postgres` and `mysqld`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.parse.sql.kinds import MYSQL, POSTGRES
from pellucid.settings.capture import Capture
from pellucid.settings.setting import setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.settings.setting import Mode


def _kind(kinds: Sequence[str]) -> Any:
    """`--kind` of a server whose commands are of these kinds."""
    return setting(
        "--kind", default=(), multiple=True, metavar="KIND", choices=kinds,
        help="Show commands of this kind only: query, execute, prepare, connect ... (docs/sql.md has all). Repeatable.",
    )  # fmt: skip


@dataclass(frozen=True)
class Sql(Capture):
    """A live capture of what database servers are asked."""

    user: tuple[str, ...] = setting(
        "--user", default=(), multiple=True, metavar="NAME",
        help="Show commands of this user of the database only. Repeatable.",
    )  # fmt: skip
    database: tuple[str, ...] = setting(
        "--database", default=(), multiple=True, metavar="NAME",
        help="Show commands in this database only. Repeatable.",
    )  # fmt: skip
    kind: tuple[str, ...] = ()
    slower_than: float | None = setting(
        "--slower-than",
        default=None,
        metavar="MS",
        help="Show commands that took, or have waited, at least so long only.",
    )
    fingerprint: bool = setting(
        "--fingerprint", default=False,
        help="At the end say how often queries that differ in their values only came, and what they took.",
    )  # fmt: skip
    funcname: str | None = setting(
        "-f", "--funcname", default=None, metavar="NAME=SYMBOL,...",
        help="How the one server that is named calls the functions that are probed, where it is not by their names.",
    )  # fmt: skip
    offset: str | None = setting(
        "--offset", default=None, metavar="NAME=ADDRESS,...",
        help="Where in the one server that is named the functions are, if it does not tell: vio_read=0x1234,vio_write=...",
    )  # fmt: skip

    @property
    def mode(self) -> Mode:
        """Databases."""
        return "sql"

    @property
    def addresses(self) -> tuple[str, str] | None:
        """What `--offset` says."""
        return None if self.offset is None else ("--offset", self.offset)


@dataclass(frozen=True)
class Postgres(Sql):
    """`pellucid postgres`."""

    probe = "postgres"
    file_flag = "--postgres"
    parsers = frozenset({"postgres"})

    kind: tuple[str, ...] = _kind(POSTGRES)
    postgres: tuple[Path, ...] = setting(
        "-m", "--postgres", default=(), multiple=True, metavar="FILE",
        help="Watch this server program. Repeatable. [default: all that run]",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--postgres` names."""
        return self.postgres


@dataclass(frozen=True)
class Mysqld(Sql):
    """`pellucid mysqld`."""

    probe = "mysqld"
    file_flag = "--mysqld"
    parsers = frozenset({"mysql"})

    kind: tuple[str, ...] = _kind(MYSQL)
    mysqld: tuple[Path, ...] = setting(
        "-m", "--mysqld", default=(), multiple=True, metavar="FILE",
        help="Watch this server program. Repeatable. [default: all that run]",
    )  # fmt: skip

    @property
    def files(self) -> tuple[Path, ...]:
        """What `--mysqld` names."""
        return self.mysqld
