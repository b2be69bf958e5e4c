"""Load packets.bpf.o and attach it: to libraries for their secrets, to interfaces for their packets."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from pellucid.attach.cgroups import cgroup, root
from pellucid.attach.keys.tracing import HOOK, KeyTracing
from pellucid.attach.loaded import KEY
from pellucid.attach.packets.hooks import PacketHooks
from pellucid.attach.packets.interfaces import InterfaceNews, all_interfaces, wanted
from pellucid.attach.values import MapValue
from pellucid.clock import boot_ns
from pellucid.errors import PellucidError
from pellucid.libbpf import (
    BpfError,
    attach_cgroup,
    attach_raw_tracepoint,
    close_links,
    iterate,
    possible_cpus,
)
from pellucid.log import log
from pellucid.model import LEFT_OUT, WAIT_NS, Interface, Interfaces
from pellucid.pcapng import ETHERNET, RAW_IP
from pellucid.probes.packets import OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pellucid.attach.filters import Filter
    from pellucid.attach.packets.classic import Classic
    from pellucid.attach.packets.interfaces import NetworkInterface
    from pellucid.libbpf import Link

_OFFSET = struct.Struct("<q")
_LINK_HEADER = {ETHERNET: 14, RAW_IP: 0}
"""Bytes before the IP header, by link type."""
_TRACEPOINTS = (
    ("socket_changed", "inet_sock_set_state"),
    ("socket_used", "sock_send_length"),
    ("socket_used", "sock_recv_length"),
)
_OLDER = ("socket_used", "tcp_rcv_space_adjust")
"""Where there is no `sock_recv_length`: it names the socket that a process receives from as well."""


class PacketTracing(KeyTracing):
    """The loaded object, its links, and the interfaces that are watched."""

    def __init__(
        self, ring_size: int, who: Filter, names: Sequence[str], filters: Mapping[int, Sequence[Classic]]
    ) -> None:
        constants = {"hold_time": WAIT_NS, "only_owned": int(who.of_some)}
        if who.cgroup_fd is not None:
            constants["filter_cgroup_id"] = os.fstat(who.cgroup_fd).st_ino
        super().__init__(OBJECT, ring_size, who, [HOOK], constants)
        self._names = names
        self._news = InterfaceNews()
        self._watched: dict[int, tuple[Interface, list[Link]]] = {}
        """By the kernel's number for an interface."""
        self._told: list[Interface] = []
        self._untold = False
        """Whether one waits to be told."""
        self._hooks = PacketHooks(self._object, filters)
        self._interface = MapValue(self._types, "interface")
        self._counts = MapValue(self._types, "interface_counts")

    def attach_owners(self) -> None:
        """Learn whose sockets are, of those that are there as well. Where the kernel lacks something, fewer are known."""
        with cgroup(root()) as top:
            if top is not None:
                self._links.append(attach_cgroup(self._object.program("socket_created"), top))
        missing = []
        for program, tracepoint in _TRACEPOINTS:
            try:
                self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))
            except BpfError:
                missing.append(tracepoint)
        if missing:
            program, tracepoint = _OLDER
            self._links.append(attach_raw_tracepoint(self._object.program(program), tracepoint))
            log.debug("this kernel lacks %s: fewer packets will say whose they are", " and ".join(missing))
        iterate(self._object.program("socket_there"), end=b"\0")

    def fileno(self) -> int:
        """Readable when interfaces have come, gone or changed: `meet` them."""
        return self._news.fileno()

    def meet(self, tell: Callable[[Interface], bool]) -> None:
        """Watch interfaces that are wanted and not watched yet, each once it was told; leave those that are gone.

        One that could not be told waits for the next call.
        """
        found = all_interfaces()
        there = {each.number for each in found}
        for number in self._watched.keys() - there:
            _, links = self._watched.pop(number)
            self._object.map("interfaces").delete(KEY.pack(number))
            close_links(links)
        self._untold = False
        for each in wanted(found, self._names):
            if each.number not in self._watched:
                self._watch(each, tell)

    def meet_news(self, tell: Callable[[Interface], bool]) -> None:
        """The same, if anything has changed."""
        if self._news.heard() or self._untold:
            self.meet(tell)

    def _watch(self, each: NetworkInterface, tell: Callable[[Interface], bool]) -> None:
        if each.link_type is None or not self._hooks.knows(each.link_type):
            return
        interface = Interface(len(self._told), each.name, each.link_type, each.number)
        value = self._interface.write(
            id=interface.id, link=_LINK_HEADER[each.link_type], inbound_only=int(each.loopback)
        )
        if interface.id >= self._object.map("interface_counts").max_entries:
            self._watched[each.number] = interface, []
            log.warning(
                "packets of %s are not captured: there were %d interfaces before it", each.name, interface.id
            )
            return
        if not tell(interface):
            self._untold = True
            return
        self._told.append(interface)
        self._object.map("interfaces").update(KEY.pack(each.number), value)
        try:
            self._watched[each.number] = interface, self._hooks.attach(each)
        except BpfError as error:  # it may be gone already
            self._watched[each.number] = interface, []
            if not self._names:
                log.warning("packets of %s are not captured: %s", each.name, error)
                return
            raise PellucidError(f"packets of {each.name} cannot be captured: {error}") from error
        if self._who.of_some and self._hooks.by_sockets:
            raise PellucidError(
                "this kernel lets packets be seen by packet sockets only, which do not tell whose they are: "
                "leave out --pid, --uid, --comm, --cgroup_path and --container"
            )
        log.debug("watching packets of %s, by %s", each.name, self._hooks.how)

    @property
    def interface_names(self) -> list[str]:
        """Those that are watched now."""
        return [interface.name for interface, _ in self._watched.values()]

    def set_clock(self, wall_less_boot: int) -> None:
        """Have packets stamped with wall-clock time: boot time and so many nanoseconds."""
        self._object.map(".data.clock").update(KEY.pack(0), _OFFSET.pack(wall_less_boot))

    def interface_counts(self) -> Interfaces:
        """How many packets of each interface there were, and how many of them were lost."""
        boot, counts = boot_ns(), []
        for each in self._told:
            cells = self._cells("interface_counts", each.id)
            seen = sum(self._counts.read(cell, "wanted")[0] for cell in cells)
            lost = sum(self._counts.read(cell, "lost")[0] for cell in cells)
            counts.append((each.id, seen, lost))
        return Interfaces(boot, counts, self._left_out() if self._who.of_some else None)

    def _left_out(self) -> dict[str, int]:
        layout = MapValue(self._types, "left_out_counts")
        by_cpu = (layout.read(cell, "packets") for cell in self._cells("left_out_counts", 0))
        return dict(zip(LEFT_OUT, map(sum, zip(*by_cpu, strict=True)), strict=True))

    def _cells(self, name: str, key: int) -> list[bytes]:
        """What each CPU has in a map at that place."""
        cpus = possible_cpus()
        raw = self._object.map(name).lookup(KEY.pack(key), cpus) or b""
        stride = len(raw) // cpus
        return [raw[at : at + stride] for at in range(0, len(raw), stride)]

    def detach(self) -> None:
        """Remove every probe, and leave every interface."""
        close_links([link for _, links in self._watched.values() for link in links])
        self._watched.clear()
        super().detach()

    def close(self) -> None:
        """Leave everything as it was found."""
        super().close()
        self._hooks.close()
        self._news.close()
