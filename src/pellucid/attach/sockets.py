"""The TCP connections that processes have: which sockets, by their inodes. Sources: proc(5), /proc/PID/net/tcp."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")

_CONNECTED = "01"
"""TCP_ESTABLISHED of include/net/tcp_states.h."""
_SOCKET = re.compile(r"socket:\[(\d+)\]$")


def connected_sockets(pids: Iterable[int]) -> set[int]:
    """The inodes of the TCP sockets of these processes that are connected. A process that has ended has none.

    PellucidError where one may not be looked at.
    """
    networks: dict[int, set[int]] = {}
    found: set[int] = set()
    for pid in pids:
        try:
            network = (PROC / str(pid) / "ns/net").stat().st_ino
            if network not in networks:
                networks[network] = _connected_in(pid)
            found |= _sockets_of(pid) & networks[network]
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError as error:
            raise PellucidError(f"the sockets of process {pid} are not shown: {error.strerror}") from error
    return found


def _connected_in(pid: int) -> set[int]:
    """The connected sockets of a process's network namespace."""
    found = set()
    for name in ("tcp", "tcp6"):
        if not (table := PROC / str(pid) / "net" / name).exists():
            continue
        with table.open() as lines:  # line by line: a server may have a million
            next(lines, "")
            for line in lines:
                row = line.split(maxsplit=10)
                if row[3] == _CONNECTED:
                    found.add(int(row[9]))
    return found


def _sockets_of(pid: int) -> set[int]:
    """All sockets that a process has open."""
    found = set()
    for entry in (PROC / str(pid) / "fd").iterdir():
        try:
            match = _SOCKET.match(str(entry.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
        if match:
            found.add(int(match[1]))
    return found
