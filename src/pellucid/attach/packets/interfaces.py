"""Network interfaces of this network namespace, and word of those that come and go (rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.errors import PellucidError
from pellucid.pcapng import ETHERNET, RAW_IP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_WITHOUT_LINK_LAYER = {512, 519, 768, 769, 776, 778, 823, 65534}
"""ARPHRD_PPP, RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE and NONE of linux/if_arp.h: there a packet is what IP says."""
_WITH_ETHERNET = {1, 772}
"""ARPHRD_ETHER and LOOPBACK, whose header is Ethernet's."""
_IFF_UP, _IFF_LOOPBACK = 1, 8

_LINKS = 1  # RTMGRP_LINK
_NEWLINK, _GETLINK, _DONE, _ERROR = 16, 18, 3, 2
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_IFNAME = 3
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")
_ROOM = 1 << 17


class NetworkInterface(NamedTuple):
    """One interface, as it is now."""

    number: int
    """The kernel's, never used again while the machine runs."""
    name: str
    kind: int
    """ARPHRD_* of linux/if_arp.h."""
    flags: int

    @property
    def up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & _IFF_UP)

    @property
    def loopback(self) -> bool:
        """Whether each packet passes it twice, out and in."""
        return bool(self.flags & _IFF_LOOPBACK)

    @property
    def link_type(self) -> int | None:
        """How its packets begin; None for a kind that cannot be captured."""
        if self.kind in _WITH_ETHERNET:
            return ETHERNET
        return RAW_IP if self.kind in _WITHOUT_LINK_LAYER else None


def all_interfaces() -> list[NetworkInterface]:
    """All that there are now."""
    found = dump(_GETLINK, _LINK.pack(0, 0, 0, 0, 0))
    return [interface_of(payload) for kind, payload in found if kind == _NEWLINK]


class InterfaceNews:
    """A descriptor that is readable when interfaces have come, gone or changed."""

    def __init__(self) -> None:
        self._news = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._news.bind((0, _LINKS))

    def fileno(self) -> int:
        """For poll(2)."""
        return self._news.fileno()

    def heard(self) -> bool:
        """Whether anything has changed since the last call."""
        heard = False
        while True:
            try:
                self._news.recv(_ROOM)
            except BlockingIOError:
                return heard
            except OSError:  # ENOBUFS: more has changed than there was room for
                pass
            heard = True

    def close(self) -> None:
        """Listen no longer."""
        self._news.close()


def dump(kind: int, request: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each message with which the kernel answers a request for all of something.

    PellucidError where it does not.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        link.send(_HEADER.pack(_HEADER.size + len(request), kind, _DUMP_REQUEST, 1, 0) + request)
        while True:
            for answer, payload in messages(link.recv(_ROOM)):
                if answer == _ERROR:
                    raise PellucidError(f"the kernel does not answer request {kind} of rtnetlink")
                if answer == _DONE:
                    return
                yield answer, payload


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each netlink message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, _, _, _ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + size]
        at += max(size + 3 & ~3, _HEADER.size)


def interface_of(payload: bytes) -> NetworkInterface:
    """What one RTM_NEWLINK message says."""
    _, kind, index, flags, _ = _LINK.unpack_from(payload)
    at, name = _LINK.size, f"if{index}"
    while at + _ATTRIBUTE.size <= len(payload):
        size, what = _ATTRIBUTE.unpack_from(payload, at)
        if what == _IFNAME:
            name = payload[at + _ATTRIBUTE.size : at + size].rstrip(b"\0").decode(errors="replace")
        at += max(size + 3 & ~3, _ATTRIBUTE.size)
    return NetworkInterface(index, name, kind, flags)


def wanted(found: Collection[NetworkInterface], names: Collection[str]) -> list[NetworkInterface]:
    """Those of these names; without names all that are up and can be captured."""
    if names:
        return [each for each in found if each.name in names and each.link_type is not None]
    return [each for each in found if each.up and each.link_type is not None]


def check_names(names: Collection[str]) -> None:
    """PellucidError where one of these names is nobody's, or that of an interface that cannot be captured."""
    known = {each.name: each for each in all_interfaces()}
    for name in names:
        if name not in known:
            raise PellucidError(f"there is no network interface {name}: see `ip link`")
        if known[name].link_type is None:
            raise PellucidError(
                f"packets of {name} cannot be captured: its link layer (ARPHRD {known[name].kind}) is neither Ethernet nor plain IP"
            )
