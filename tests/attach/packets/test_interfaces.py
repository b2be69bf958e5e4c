"""Network interfaces as rtnetlink tells of them."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from pellucid.attach.packets.interfaces import (
    ETHERNET,
    RAW_IP,
    Changes,
    InterfaceNews,
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


class FailingSocket:
    """A netlink socket whose news are these: datagrams, or errors."""

    def __init__(self, *news: bytes | OSError) -> None:
        self._news = iter(news)

    def recv(self, _: int) -> bytes:
        """The next of them."""
        news = next(self._news, BlockingIOError())
        if isinstance(news, OSError):
            raise news
        return news


def news_of(*news: bytes | OSError) -> InterfaceNews:
    """What hears these news."""
    heard = InterfaceNews()
    heard.close()
    heard._news = FailingSocket(*news)
    return heard


def removed(family: int, number: int) -> bytes:
    """RTM_DELLINK of an interface."""
    return struct.pack("=IHHII", 32, 17, 0, 0, 0) + struct.pack("=BxHiII", family, 1, number, 0, 0)


def test_what_is_removed():
    """Interfaces that are removed are named; a port that a bridge loses goes on as an interface."""
    news = news_of(removed(socket.AF_UNSPEC, 5) + removed(7, 6), removed(socket.AF_UNSPEC, 8))
    assert news.take() == Changes(any=True, gone=frozenset({5, 8}))
    assert news.take() == Changes()


def test_too_many_news():
    """Where there was no room for all news, that is told, with those that came through."""
    lost = OSError(errno.ENOBUFS, "")
    assert news_of(lost, removed(0, 5)).take() == Changes(any=True, gone=frozenset({5}), missed=True)


def test_news_that_fail():
    """Another error ends the capture with the reason, instead of being asked for again for ever."""
    with pytest.raises(
        PellucidError, match="does not tell of network interfaces any more: Input/output error"
    ):
        news_of(OSError(errno.EIO, "Input/output error")).take()
