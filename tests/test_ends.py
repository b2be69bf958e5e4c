"""What `--port` and `--host` mean, and that kernel and user space mean the same."""

from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest

from pellucid.attach.filters import network_key
from pellucid.ends import Ends, ends, resolved
from pellucid.errors import PellucidError


def want(local, remote, *, ports=(), hosts=()):
    """Whether the flags want such a connection."""
    return ends(ports, hosts).want(local, remote)


def test_nothing_given():
    """Without a flag there is nothing to select by."""
    assert ends((), ()) is None


def test_ports():
    """Either end's port is enough, and only the whole number."""
    assert want("10.0.0.1:4711", "10.0.0.2:443", ports=(443,))
    assert want("[::1]:443", "[::2]:4711", ports=(80, 443))
    assert not want("10.0.0.1:4443", "10.0.0.2:44", ports=(443,))


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("10.0.0.2", True),
        ("10.0.0.1", True),
        ("10.0.0.3", False),
        ("10.0.0.0/30", True),
        ("10.0.0.77/24", True),
        ("::ffff:10.0.0.2", True),
        ("::ffff:10.0.0.0/120", True),
        ("0.0.0.0/0", True),
        ("::/0", False),
        ("::a00:2", False),
    ],
)
def test_hosts(host, wanted):
    """Addresses and networks match either end; an IPv4-mapped one is IPv4, and no other IPv6 is."""
    assert want("10.0.0.1:1", "10.0.0.2:2", hosts=(host,)) is wanted


def test_ipv6():
    """However an address is written, it is the same one."""
    assert want("[2001:db8::1]:1", "[::1]:2", hosts=("2001:0DB8:0:0::0001",))
    assert want("[2001:db8::1]:1", "[::1]:2", hosts=("::/0",))
    assert not want("[2001:db8::1]:1", "[::1]:2", hosts=("0.0.0.0/0",))


def test_port_and_host():
    """Both must hold, at whichever end."""
    both = {"ports": (443,), "hosts": ("10.0.0.1",)}
    assert want("10.0.0.1:9", "10.0.0.2:443", **both)
    assert not want("10.0.0.1:9", "10.0.0.2:80", **both)
    assert not want("10.0.0.3:9", "10.0.0.2:443", **both)


def test_names(monkeypatch):
    """A name stands for all its addresses, without scope and each once; addresses are not looked up."""
    answers = ["192.0.2.1", "fe80::1%eth0", "192.0.2.1"]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda name, *_, **__: [(0, 0, 0, "", (answer, 0)) for answer in answers]
    )
    assert resolved(("service", "10.0.0.0/8", "::1")) == ("192.0.2.1", "fe80::1", "10.0.0.0/8", "::1")


@pytest.mark.parametrize("name", ["no-such-host.invalid", "10.0.0.0/33", "a" * 70, "a..b"])
def test_names_without_an_address(name):
    """What has no address is one line that names it."""
    with pytest.raises(PellucidError, match="has no address: ") as raised:
        resolved((name,))
    assert str(raised.value).startswith(f"--host {name} ")
    assert "\n" not in str(raised.value)


def test_keys_of_the_kernels_trie():
    """IPv4 is in the map as IPv4-mapped IPv6, which the programs make of it too."""
    assert network_key(ip_network("10.1.0.0/16")) == b"\x70\0\0\0" + bytes(10) + b"\xff\xff\x0a\x01\0\0"
    assert network_key(ip_network("2001:db8::/32")) == b"\x20\0\0\0\x20\x01\x0d\xb8" + bytes(12)


def test_networks_are_read_once():
    """What the flags say is kept as networks."""
    assert ends((1,), ("::ffff:0:0/96",)) == Ends(frozenset({1}), (ip_network("0.0.0.0/0"),))
