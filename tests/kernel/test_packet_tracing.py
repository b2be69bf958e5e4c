"""What packets.bpf.o is asked for beside packets: whose sockets are, and counts of interfaces without end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.filters import Filter
from pellucid.attach.packets.interfaces import NetworkInterface
from pellucid.attach.packets.network import own_network
from pellucid.attach.packets.table import InterfaceTable
from pellucid.attach.packets.tracing import PacketTracing
from pellucid.pcapng import ETHERNET
from tests.kernel.networks import alone
from tests.kernel.pcaps import end
from tests.shell import only_line
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

WITHOUT_USES = (
    "from pellucid.attach.packets import owners; owners._USES = owners._USES[:1] + ('no_such_tracepoint',); "
)
WITHOUT_OLDER = f"{WITHOUT_USES} owners._OLDER_USE = 'nor_this_one'"


@pytest.mark.parametrize(("patch", "said"), [(WITHOUT_USES, False), (WITHOUT_OLDER, True)])
def test_a_kernel_that_tells_less(pcap, tmp_path, patch, said):
    """Where the kernel tells less of sockets packets come all the same, with the owners that are known; that there are fewer is
    a warning, but where an older way does as well.
    """
    with alone() as here, here.entered():
        run = pcap(tmp_path / "ours.pcapng", patch=patch)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            datagrams.sendto(b"datagram", datagrams.getsockname())
        log = end(run)
    [[comment]] = fields(tmp_path / "ours.pcapng", "frame.comment")
    assert comment.startswith(f"pid={os.getpid()} ")
    assert (
        "WARNING fewer packets will say whose they are, for this kernel does not tell who uses a socket"
        in log
    ) == said


def test_owners_that_cannot_be_known(tls, tmp_path):
    """Where packets are meant by their processes, a kernel that does not tell of these is an error in one line."""
    script = f"{WITHOUT_OLDER}\nfrom pellucid.cli import main\nmain()"
    words = ["tls", "-m", "pcap", "-w", tmp_path / "none", "--libssl", tls.libssl, "--pid", str(os.getpid())]
    refused = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )
    assert only_line(refused, 1).startswith(
        "packets cannot be chosen by their processes, for this kernel does not tell who uses a socket: cannot attach to nor_this_one: "
    )


@pytest.fixture
def tracing() -> Iterator[PacketTracing]:
    """The object in the kernel, attached to nothing."""
    loaded = PacketTracing(1 << 20, Filter(), [], {}, list)
    yield loaded
    loaded.close()


def test_interfaces_without_end(tracing):
    """More interfaces than the kernel's maps have room for may come and go: each has an id of its own, and its last counts are
    told once.
    """
    table = InterfaceTable(tracing._object, tracing._types, by_network=True)
    network, told = own_network(), []
    for number in range(5000):
        each = NetworkInterface(number, "veth", 1, 1)
        interface = table.enter(network, each, ETHERNET, lambda interface: told.append(interface) or True)
        assert interface == told[-1]
        table.leave(interface)
    assert [each.id for each in told] == [id for id, _, _ in table.counts()] == list(range(5000))
    assert table.counts() == []
