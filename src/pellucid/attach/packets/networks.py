"""The network namespaces whose interfaces are watched: those that are named at the start, and those that turn up."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pellucid.attach.loaded import KEY
from pellucid.attach.packets.bell import Bell
from pellucid.attach.packets.hooks import PacketHooks
from pellucid.attach.packets.network import network_of, number_of
from pellucid.attach.packets.table import InterfaceTable
from pellucid.attach.packets.watched import WatchedNetwork
from pellucid.errors import PellucidError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pellucid.attach.packets.classic import Translated
    from pellucid.attach.packets.network import Network
    from pellucid.decode.btf import Btf
    from pellucid.libbpf import BpfObject
    from pellucid.model import Interface

_PID = struct.Struct("<I")
_KNOWN = b"\1"


class Networks:
    """By their numbers. Which ones turn up, the kernel says, as soon as a process that is meant begins a program or
    makes a socket there.
    """

    def __init__(
        self,
        bpf: BpfObject,
        types: Btf,
        names: Collection[str],
        filters: Mapping[int, Translated],
        meant: Callable[[], Iterable[int]] | None,
        *,
        owned: bool,
    ) -> None:
        """`names` are of interfaces, none for all; with `owned` packets are meant by whose they are. `meant` lists the processes
        whose namespaces are watched; without it there is ours alone.
        """
        self._names = names
        self._meant = meant or tuple
        self._owned = owned
        self._known = bpf.map("known_networks")
        self._new = bpf.map("new_networks")
        self._bell = Bell(bpf.map("network_bell"))
        self._table = InterfaceTable(bpf, types, by_network=meant is not None)
        self._hooks = PacketHooks(bpf, filters)
        self._watched: dict[int, WatchedNetwork] = {}
        self._missed = 0, 0
        """Namespace and process of which the log said last that packets are missing."""
        self.counts = self._table.counts

    def filenos(self) -> set[int]:
        """What is readable when interfaces or namespaces have come, gone or changed: `meet`."""
        return {self._bell.fileno(), *(each.fileno() for each in self._watched.values())}

    def add(self, network: Network, tell: Callable[[Interface], bool]) -> None:
        """Watch the interfaces of a namespace, which is this object's from now on. PellucidError where that cannot be."""
        try:
            watched = WatchedNetwork(network, self._names, self._table, self._hooks, owned=self._owned)
        except PellucidError:
            network.close()
            raise
        self._watched[network.number] = watched
        self._known.update(KEY.pack(network.number), _KNOWN)
        watched.meet(tell)

    def meet(self, tell: Callable[[Interface], bool]) -> None:
        """Watch what has come, each interface once it was told, and leave what has gone."""
        for watched in self._watched.values():
            watched.meet_news(tell)
        self._bell.silence()
        for key, value in self._new.take():
            (number,), (pid,) = KEY.unpack(key), _PID.unpack(value)
            if number not in self._watched:
                self._arrive(number, pid, tell)

    def _arrive(self, number: int, pid: int, tell: Callable[[Interface], bool]) -> None:
        """Watch the namespace of this number, in which this process is, or has a socket; the log says what becomes of it."""
        what = f"packets of process {pid} in network namespace {number}, of which nothing was known,"
        try:
            network = _network((pid, *self._meant()), number)
            if network is not None:
                self.add(network, tell)
                log.info("%s are captured from now on", what)
                return
        except PellucidError as error:
            log.warning("%s are missing: %s", what, error)
            self._known.update(KEY.pack(number), _KNOWN)  # so that this is said once
            return
        if (number, pid) != self._missed:  # its next socket there brings it here again
            self._missed = number, pid
            log.warning("%s are missing: nobody that is meant is there any more", what)

    def leave_empty(self) -> None:
        """Let go of the namespaces that nobody has been in at this call and the one before: their last packets have gone by."""
        for number, watched in [*self._watched.items()]:
            was_empty, watched.empty = watched.empty, not watched.inhabited()
            if was_empty and watched.empty:
                del self._watched[number]
                watched.close()
                self._known.delete(KEY.pack(number))
                log.debug("%s is watched no more: nobody is there", watched.network.description)

    def detach(self) -> None:
        """Leave every interface; `counts` are final then."""
        for watched in self._watched.values():
            watched.detach()

    def close(self) -> None:
        """Leave everything as it was found."""
        for watched in self._watched.values():
            watched.close()
        self._watched.clear()
        self._hooks.close()
        self._bell.close()


def _network(pids: Iterable[int], number: int) -> Network | None:
    """The namespace of this number, if one of these processes is there."""
    for pid in pids:
        network = network_of(pid) if number_of(pid) == number else None
        if network is not None and network.number == number:
            return network
        if network is not None:
            network.close()
    return None
