"""Where packets of one interface are seen: by the first of three ways that the kernel has."""

from __future__ import annotations

import socket
from enum import Enum
from typing import TYPE_CHECKING

from pellucid.attach.loaded import KEY
from pellucid.attach.packets.clsact import Clsact
from pellucid.attach.packets.interfaces import is_there
from pellucid.libbpf import BpfError, Link, RawProgram, attach_tcx, close_links
from pellucid.libbpf.programs import SCHED_CLS, SOCKET_FILTER
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pellucid.attach.packets.classic import Translated
    from pellucid.attach.packets.interfaces import NetworkInterface
    from pellucid.attach.packets.network import Network
    from pellucid.libbpf import BpfObject, Program

_NEXT = -1
"""TCX_NEXT and TC_ACT_UNSPEC: whoever comes after this program decides what becomes of the packet."""
_DIRECTIONS = ("ingress", "egress")
"""The programs, in the order of their places in `captures` of packets.bpf.c."""
_SOCKET = "packet_socket"
_ALL_PROTOCOLS = 3  # ETH_P_ALL
_SO_ATTACH_BPF = 50


class Way(Enum):
    """How packets are seen, from the best on, in words for the log."""

    TCX = "tcx"
    CLSACT = "filters of a clsact qdisc"
    PACKET_SOCKET = "packet sockets"


class PacketHooks:
    """Attaches the programs of packets.bpf.o, behind a filter where there is one."""

    def __init__(
        self, bpf: BpfObject, filters: Mapping[int, Translated], ways: Sequence[Way] = tuple(Way)
    ) -> None:
        """`filters` are by link type; without any every packet is meant. At least one of `ways` is tried."""
        self._bpf = bpf
        self._filters = filters
        self._ways = ways
        self._said: set[Way] = set()
        """Those that did not do, as the log says."""
        self._made: dict[tuple[int, str], RawProgram] = {}
        self._clsacts: dict[int, Clsact] = {}
        """By the number of the network namespace."""
        self._attach = {Way.TCX: self._tcx, Way.CLSACT: self._clsact, Way.PACKET_SOCKET: self._packet_socket}
        for entry, name in enumerate(_DIRECTIONS):
            bpf.map("captures").update(KEY.pack(entry), KEY.pack(bpf.program(name).fd))
        bpf.map("socket_captures").update(KEY.pack(0), KEY.pack(bpf.program(_SOCKET).fd))

    def knows(self, link_type: int) -> bool:
        """Whether the filter has a meaning for such packets."""
        return not self._filters or link_type in self._filters

    def attach(self, network: Network, interface: NetworkInterface) -> tuple[Way, list[Link]]:
        """See what passes the interface, either way, of the namespace that this thread has entered.

        BpfError where no way works.
        """
        *better, last = self._ways
        for way in better:
            try:
                return way, self._attach[way](network, interface)
            except BpfError as error:
                if not is_there(interface):
                    raise
                self._say(way, error)
        return last, self._attach[last](network, interface)

    def _say(self, way: Way, error: BpfError) -> None:
        if way not in self._said:
            self._said.add(way)
            log.info("%s: packets are captured by %s", error, self._ways[self._ways.index(way) + 1].value)

    def _tcx(self, _: Network, interface: NetworkInterface) -> list[Link]:
        """By links, which go with this process."""
        links: list[Link] = []
        try:
            for name in _DIRECTIONS:
                program = self._of(interface, name)
                links.append(attach_tcx(program, interface.number, egress=name == "egress"))
        except BpfError:
            close_links(links)
            raise
        return links

    def _clsact(self, network: Network, interface: NetworkInterface) -> list[Link]:
        """By filters of a clsact qdisc, which have to be removed."""
        if network.number not in self._clsacts:
            self._clsacts[network.number] = Clsact(network)
        programs = [(name == "egress", self._of(interface, name)) for name in _DIRECTIONS]
        return self._clsacts[network.number].attach(interface.number, programs)

    def _packet_socket(self, _: Network, interface: NetworkInterface) -> list[Link]:
        """As the filter of a packet socket, which takes nothing into its queue."""
        program = self._of(interface, _SOCKET)
        try:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except OSError as error:
            raise BpfError(f"no packet socket: {error.strerror}") from error
        try:
            tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program.fd)
            tap.bind((interface.name, _ALL_PROTOCOLS))
        except OSError as error:
            tap.close()
            raise BpfError(f"no packet socket for {interface.name}: {error.strerror}") from error
        return [Link(tap.close)]

    def _of(self, interface: NetworkInterface, name: str) -> Program | RawProgram:
        """The program, or the filter before it."""
        link_type = interface.link_type
        assert link_type is not None
        if not self._filters:
            return self._bpf.program(name)
        if (link_type, name) not in self._made:
            self._made[link_type, name] = self._filter(link_type, name)
        return self._made[link_type, name]

    def _filter(self, link_type: int, name: str) -> RawProgram:
        if name == _SOCKET:
            code = self._filters[link_type].code(self._bpf.map("socket_captures").fd, 0, miss=0)
            return RawProgram(f"filter_{name}", SOCKET_FILTER, code)
        entry = _DIRECTIONS.index(name)
        code = self._filters[link_type].code(self._bpf.map("captures").fd, entry, miss=_NEXT)
        return RawProgram(f"filter_{name}", SCHED_CLS, code)

    def leave(self, network: Network) -> None:
        """Give up what belongs to a namespace, of which no interface is attached to any more."""
        clsact = self._clsacts.pop(network.number, None)
        if clsact:
            clsact.close()

    def close(self) -> None:
        """Give up what belongs to no interface."""
        for program in self._made.values():
            program.close()
        for clsact in self._clsacts.values():
            clsact.close()
