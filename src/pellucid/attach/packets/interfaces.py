"""Network interfaces of the namespace that this thread is in, and word of those that come and go (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from pellucid.attach.packets.rtnetlink import ROOM, attributes, dump, messages
from pellucid.errors import PellucidError
from pellucid.pcapng import ETHERNET, RAW_IP

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pellucid.attach.packets.network import Network

_WITHOUT_LINK_LAYER = {512, 519, 768, 769, 776, 778, 823, 65534}
"""ARPHRD_PPP, RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE and NONE of linux/if_arp.h: there a packet is what IP says."""
_WITH_ETHERNET = {1, 772}
"""ARPHRD_ETHER and LOOPBACK, whose header is Ethernet's."""
_IFF_UP, _IFF_LOOPBACK = 1, 8

_LINKS = 1  # RTMGRP_LINK
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_IFNAME = 3
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg

_NEWS_ROOM = 8 << 20
"""Bytes of news that may wait, some thousand: one message takes 1 to 2 KiB."""
_SO_RCVBUFFORCE = 33


class NetworkInterface(NamedTuple):
    """One interface, as it is now."""

    number: int
    """The kernel's, which another one may be given once this is gone."""
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
    """All that there are now. PellucidError where the kernel does not tell."""
    found = dump(_GETLINK, _LINK.pack(0, 0, 0, 0, 0))
    return [interface_of(payload) for kind, payload in found if kind == _NEWLINK]


def is_there(interface: NetworkInterface) -> bool:
    """Whether it still is."""
    return interface.number in dict(socket.if_nameindex())


class Changes(NamedTuple):
    """What has become of interfaces."""

    any: bool = False
    gone: frozenset[int] = frozenset()
    """The numbers of those that were removed; others may have them by now."""
    missed: bool = False
    """More has changed than there was room for: any of them may have been replaced."""


class InterfaceNews:
    """A descriptor that is readable when interfaces have come, gone or changed."""

    def __init__(self) -> None:
        """Of the namespace that this thread is in now. PellucidError where the kernel refuses."""
        try:
            self._news = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            )
            self._news.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _NEWS_ROOM)
            self._news.bind((0, _LINKS))
        except OSError as error:
            raise PellucidError(
                f"the kernel does not tell of network interfaces: {error.strerror}"
            ) from error

    def fileno(self) -> int:
        """For poll(2)."""
        return self._news.fileno()

    def take(self) -> Changes:
        """What has changed since the last call. PellucidError where the kernel does not tell any more."""
        heard = missed = False
        gone: set[int] = set()
        while True:
            try:
                data = self._news.recv(ROOM)
            except BlockingIOError:
                return Changes(heard, frozenset(gone), missed)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise PellucidError(
                        f"the kernel does not tell of network interfaces any more: {error.strerror}"
                    ) from error
                missed = True
            else:
                gone |= {number for kind, _, payload in messages(data) if (number := _removed(kind, payload))}
            heard = True

    def close(self) -> None:
        """Listen no longer."""
        self._news.close()


def _removed(kind: int, payload: bytes) -> int:
    """The number of the interface that a message says is removed; 0 for other news."""
    family, _, number, _, _ = _LINK.unpack_from(payload)
    return number if kind == _DELLINK and family == socket.AF_UNSPEC else 0  # else a bridge has lost a port


def interface_of(payload: bytes) -> NetworkInterface:
    """What one RTM_NEWLINK message says."""
    _, kind, index, flags, _ = _LINK.unpack_from(payload)
    names = (value for what, value in attributes(payload, _LINK.size) if what == _IFNAME)
    name = next(names, b"if%d" % index).rstrip(b"\0").decode(errors="replace")
    return NetworkInterface(index, name, kind, flags)


def wanted(found: Collection[NetworkInterface], names: Collection[str]) -> list[NetworkInterface]:
    """Those of these names; without names all that are up and can be captured."""
    if names:
        return [each for each in found if each.name in names and each.link_type is not None]
    return [each for each in found if each.up and each.link_type is not None]


def check_names(networks: Sequence[Network], names: Collection[str]) -> None:
    """PellucidError where one of these names is nobody's in these namespaces, or that of an interface that cannot be captured."""
    known: dict[str, NetworkInterface] = {}
    for network in networks if names else ():
        with network.entered():
            for each in all_interfaces():
                if each.name not in known or each.link_type is not None:
                    known[each.name] = each
    for name in names:
        if name not in known:
            remedies = " and ".join(network.remedy for network in networks)
            raise PellucidError(f"there is no network interface {name}: see {remedies}")
        if known[name].link_type is None:
            raise PellucidError(
                f"packets of {name} cannot be captured: its link layer (ARPHRD {known[name].kind}) is neither Ethernet nor plain IP"
            )
