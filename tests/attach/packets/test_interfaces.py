"""Network interfaces as rtnetlink tells of them."""

from __future__ import annotations

import socket
import struct

import pytest

from pellucid.attach.packets.interfaces import (
    ETHERNET,
    RAW_IP,
    NetworkInterface,
    all_interfaces,
    check_names,
    interface_of,
    wanted,
)
from pellucid.attach.packets.network import own_network
from pellucid.errors import PellucidError

LO = NetworkInterface(1, "lo", 772, 0x49)
TUN = NetworkInterface(2, "tun0", 65534, 0x10D1)
DOWN = NetworkInterface(3, "eth1", 1, 0x1002)
CAN = NetworkInterface(4, "can0", 280, 0x1)


def test_all():
    """All interfaces of this namespace are listed, by the numbers and names that the C library tells."""
    assert [(each.number, each.name) for each in all_interfaces()] == socket.if_nameindex()


def test_kinds():
    """Ethernet and loopback begin with a link layer's header, tun does not, and what is neither is not captured."""
    assert [each.link_type for each in (LO, DOWN, TUN, CAN)] == [ETHERNET, ETHERNET, RAW_IP, None]
    assert [each.loopback for each in (LO, TUN)] == [True, False]


def test_wanted():
    """Without names those that are up and can be captured are meant, else those of these names, though they are down."""
    found = [LO, TUN, DOWN, CAN]
    assert wanted(found, []) == [LO, TUN]
    assert wanted(found, ["eth1", "can0"]) == [DOWN]


def test_message():
    """An interface is read from a message with attributes that nobody knows, of whatever length, before its name."""
    attributes = struct.pack("=HH3sx", 7, 99, b"abc") + struct.pack("=HH5s3x", 9, 3, b"eth0")
    assert interface_of(struct.pack("=BxHiII", 0, 1, 5, 0x1003, 0) + attributes) == NetworkInterface(
        5, "eth0", 1, 0x1003
    )


def test_no_such_name():
    """A name that is no interface's is refused with the name."""
    with pytest.raises(PellucidError, match="there is no network interface nosuch0: see `ip link`"):
        check_names([own_network()], ["lo", "nosuch0"])
