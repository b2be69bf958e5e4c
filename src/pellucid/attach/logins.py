"""Who is in the sessions that a PostgreSQL server already has: its processes say so in their titles.

    postgres: 15/main: anna shop 127.0.0.1(36490) idle in transaction

The title (src/backend/utils/misc/ps_status.c, BackendInitialize()) is `postgres: `, the `cluster_name` and a colon where
there is one, user, database, client and what it does. Names may hold blanks, brackets and colons, so only what can be
read in one way alone is believed; which cluster it is, the server's checkpointer tells, in whose title there are no such names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pellucid.model import Login, Logins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BEGIN = "postgres: "
_CHECKPOINTER = re.compile(rf"{_BEGIN}(.*)checkpointer *")
_SESSION = re.compile(
    r"(?!walsender )([^ ]+) ([^ ]+) (?:\[local\]|[^ ()\[\]]+\(\d+\)) "
    r"(?:[^()\[\]]*|idle in transaction \(aborted\) *)"
)
"""The only brackets in what a session does are those of a transaction that has failed (PostgresMain() in
src/backend/tcop/postgres.c), which no client's can be: they have a port. A stream to a replica is
`walsender anna 127.0.0.1(36490)`: without a database, or with one word more."""


class _Process(NamedTuple):
    """A process of a server."""

    pid: int
    parent: int
    start: int
    """In clock ticks since boot (proc(5), /proc/PID/stat)."""
    title: str


def logins() -> Logins:
    """Those of all servers that run."""
    return Logins([*read_titles([*_processes()])])


def read_titles(processes: Iterable[_Process]) -> Iterator[Login]:
    """Those whose titles can be read in one way alone."""
    clusters = {each.parent: match[1] for each in processes if (match := _CHECKPOINTER.fullmatch(each.title))}
    for each in processes:
        begin = _BEGIN + clusters.get(each.parent, "")
        session = _SESSION.fullmatch(each.title.removeprefix(begin))
        if each.parent in clusters and each.title.startswith(begin) and session:
            yield Login(each.pid, each.start, session[1], session[2])


def _processes() -> Iterator[_Process]:
    for folder in (each for each in Path("/proc").iterdir() if each.name.isdecimal()):
        try:
            title = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
            if title.startswith(_BEGIN):
                stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                yield _Process(int(folder.name), int(stat[1]), int(stat[19]), title)
        except (OSError, UnicodeDecodeError):  # it has ended, or its names are not UTF-8
            continue
