"""Networks of a test's own: namespaces, joined by a veth where there are two."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kernel.inside import call

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE_NEWNET = 0x40000000  # linux/sched.h


class Network(NamedTuple):
    """One namespace."""

    name: str
    address: str
    """Of its end of the veth; 127.0.0.1 where it is alone."""
    interface: str

    @contextmanager
    def entered(self) -> Iterator[Network]:
        """Have this thread, and what it starts, be in the namespace."""
        with _entered(self.name):
            yield self


@contextmanager
def _entered(name: str) -> Iterator[None]:
    own, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/run/netns/{name}"))
    try:
        call("setns", there, CLONE_NEWNET)
        yield
    finally:
        call("setns", own, CLONE_NEWNET)
        os.close(own)
        os.close(there)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def alone(what: str = "alone") -> Iterator[Network]:
    """A namespace with loopback only; several at a time need names that differ."""
    with _namespace(what) as name:
        yield Network(name, "127.0.0.1", "lo")


@contextmanager
def joined() -> Iterator[tuple[Network, Network]]:
    """Two namespaces with a veth between them."""
    with _namespace("one") as one, _namespace("other") as other:
        _ip("link", "add", "veth0", "netns", one, "type", "veth", "peer", "name", "veth1", "netns", other)
        ends = Network(one, "10.97.0.1", "veth0"), Network(other, "10.97.0.2", "veth1")
        for end in ends:
            _ip("-n", end.name, "address", "add", f"{end.address}/24", "dev", end.interface)
            _ip("-n", end.name, "link", "set", end.interface, "up")
        yield ends


@contextmanager
def _namespace(what: str) -> Iterator[str]:
    name = f"pellucid-{what}-{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _keep_to_ports_of_nobody(name)
        yield name
    finally:
        _ip("netns", "delete", name)


def _keep_to_ports_of_nobody(name: str) -> None:
    """Choose ports only where Wireshark has no protocol of its own: it takes 34980 for EtherCAT, whichever end has it."""
    with _entered(name):
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("50000 53999")
