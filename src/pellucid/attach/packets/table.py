"""The interfaces that are watched, as the programs in the kernel know them, and what they count of each."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pellucid.attach.loaded import KEY
from pellucid.attach.values import MapValue
from pellucid.libbpf import possible_cpus
from pellucid.model import Interface
from pellucid.pcapng import ETHERNET, RAW_IP

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.attach.packets.interfaces import NetworkInterface
    from pellucid.attach.packets.network import Network
    from pellucid.decode.btf import Btf
    from pellucid.libbpf import BpfObject

_KEY = struct.Struct("<II")
"""`struct interface_key` of bpf/packet.h."""
_LINK_HEADER = {ETHERNET: 14, RAW_IP: 0}
"""Bytes before the IP header, by link type."""


class InterfaceTable:
    """Each has an id, 0, 1, 2 ... in the order in which they are entered, and no id is given twice."""

    def __init__(self, bpf: BpfObject, types: Btf, *, by_network: bool) -> None:
        """With `by_network` the kernel's numbers are those of several namespaces."""
        self._interfaces = bpf.map("interfaces")
        self._cells = bpf.map("interface_counts")
        self._interface = MapValue(types, "interface")
        self._counts = MapValue(types, "interface_counts")
        self._by_network = by_network
        self._next = 0
        self._entered: set[int] = set()
        self._left: list[tuple[int, int, int]] = []
        """The last counts of those that were left since the last call of `counts`."""

    def enter(
        self, network: Network, each: NetworkInterface, link_type: int, tell: Callable[[Interface], bool]
    ) -> Interface | None:
        """Have the kernel know an interface, once it was told; None where it could not be told now.

        BpfError where there are too many.
        """
        interface = Interface(
            self._next,
            each.name,
            link_type,
            each.number,
            network=network.number,
            description=network.description,
        )
        if not tell(interface):
            return None
        self._next += 1
        self._cells.update(KEY.pack(interface.id), bytes(self._stride * possible_cpus()))
        self._entered.add(interface.id)
        value = self._interface.write(
            id=interface.id, link=_LINK_HEADER[link_type], inbound_only=int(each.loopback)
        )
        self._interfaces.update(self._key(interface), value)
        return interface

    def leave(self, interface: Interface) -> None:
        """Have the kernel forget one that nothing is attached to any more; its last counts are told yet."""
        if interface.id not in self._entered:
            return
        self._interfaces.delete(self._key(interface))
        self._left.append(self._count(interface.id))
        self._cells.delete(KEY.pack(interface.id))
        self._entered.remove(interface.id)

    def counts(self) -> list[tuple[int, int, int]]:
        """(id, packets that were wanted, those of them that were lost) of those that are there, and once of those that were."""
        left, self._left = self._left, []
        return [*left, *map(self._count, sorted(self._entered))]

    @property
    def _stride(self) -> int:
        return self._counts.size + 7 & ~7

    def _key(self, interface: Interface) -> bytes:
        return _KEY.pack(interface.network if self._by_network else 0, interface.index)

    def _count(self, id: int) -> tuple[int, int, int]:
        cpus = possible_cpus()
        raw = self._cells.lookup(KEY.pack(id), cpus) or b""
        cells = [raw[at : at + self._stride] for at in range(0, len(raw), self._stride)]
        seen = sum(self._counts.read(cell, "wanted")[0] for cell in cells)
        return id, seen, sum(self._counts.read(cell, "lost")[0] for cell in cells)
