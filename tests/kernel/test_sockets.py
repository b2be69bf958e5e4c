"""Which TCP connections a process has."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.sockets import connected_sockets
from pellucid.libbpf import BpfObject
from pellucid.probes.keylog import OBJECT
from tests.kernel.networks import alone
from tests.kernel.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.running import Programs

pytestmark = pytest.mark.kernel

ITSELF = """
import signal, socket
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
accepted = listener.accept()
signal.pause()
"""


@pytest.fixture
def keylog() -> Iterator[BpfObject]:
    """The loaded object."""
    loaded = BpfObject(OBJECT)
    loaded.load()
    yield loaded
    loaded.close()


def test_connected_only(keylog: BpfObject) -> None:
    """Both ends of a connection count, one that waits for connections does not, nor a closed one, nor UDP."""
    before = connected_sockets(keylog, [os.getpid()])
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(server.getsockname())
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
            inodes = {os.fstat(end.fileno()).st_ino for end in (client, accepted)}
            assert connected_sockets(keylog, [os.getpid()]) - before == inodes
    assert connected_sockets(keylog, [os.getpid()]) == before


def test_ipv6(keylog: BpfObject) -> None:
    """So do those over IPv6."""
    before = connected_sockets(keylog, [os.getpid()])
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        assert connected_sockets(keylog, [os.getpid()]) - before == {os.fstat(client.fileno()).st_ino}


def test_of_others(keylog: BpfObject, programs: Programs) -> None:
    """Those of a process in another network namespace are its own, and one that is not there has none."""
    with alone() as here, here.entered():
        other = programs.start(sys.executable, "-c", ITSELF)
        wait_for(lambda: len(connected_sockets(keylog, [other.pid])) == 2, "the process to be connected")
    assert not connected_sockets(keylog, [other.pid]) & connected_sockets(keylog, [os.getpid()])
    assert connected_sockets(keylog, [1 << 22]) == set()
