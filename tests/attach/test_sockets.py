"""Which TCP connections a process has."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from pellucid.attach import sockets
from pellucid.attach.sockets import connected_sockets
from pellucid.errors import PellucidError


def test_connected_only() -> None:
    """Both ends of a connection count, one that waits for connections does not, nor a closed one, nor UDP."""
    before = connected_sockets([os.getpid()])
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(server.getsockname())
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            inodes = {os.fstat(end.fileno()).st_ino for end in (client, accepted)}
            assert connected_sockets([os.getpid()]) - before == inodes
    assert connected_sockets([os.getpid()]) == before


def test_ipv6() -> None:
    """So do those over IPv6."""
    before = connected_sockets([os.getpid()])
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        assert connected_sockets([os.getpid()]) - before == {os.fstat(client.fileno()).st_ino}


def test_nobody() -> None:
    """A process that is not there has none."""
    assert connected_sockets([1 << 22]) == set()


def test_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a process that may not be looked at, that is said."""

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(sockets, "PROC", tmp_path)
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(PellucidError, match="process 7 are not shown: Permission denied"):
        sockets.connected_sockets([7])
