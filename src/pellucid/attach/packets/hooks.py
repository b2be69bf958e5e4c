"""Where packets of one interface are seen: by the first of three ways that the kernel has."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pellucid.attach.loaded import KEY
from pellucid.attach.packets.classic import translate
from pellucid.attach.packets.clsact import Clsact
from pellucid.errors import PellucidError, UsageError
from pellucid.libbpf import BpfError, Link, RawProgram, attach_tcx
from pellucid.libbpf.programs import SCHED_CLS, SOCKET_FILTER
from pellucid.log import log
from pellucid.pcapng import ETHERNET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pellucid.attach.packets.classic import Classic
    from pellucid.attach.packets.interfaces import NetworkInterface
    from pellucid.libbpf import BpfObject, Program

_NEXT = -1
"""TCX_NEXT and TC_ACT_UNSPEC: whoever comes after this program decides what becomes of the packet."""
_DIRECTIONS = ("ingress", "egress")
"""The programs, in the order of their places in `captures` of packets.bpf.c."""
_SOCKET = "packet_socket"
_ALL_PROTOCOLS = 3  # ETH_P_ALL
_SO_ATTACH_BPF = 50

WAYS = {"tcx": "tcx", "filters of a clsact qdisc": "clsact", "packet sockets": "packet_socket"}
"""From the best on: what each is called, and the method of `PacketHooks`."""


class PacketHooks:
    """Attaches the programs of packets.bpf.o, behind a filter where there is one."""

    def __init__(self, bpf: BpfObject, filters: Mapping[int, Sequence[Classic]]) -> None:
        """`filters` are by link type; without any every packet is meant. BpfError where the kernel refuses one."""
        self._bpf = bpf
        self._filters = filters
        self._made: dict[tuple[int, str], RawProgram] = {}
        self._clsact: Clsact | None = None
        self._ways: dict[str, Callable[[NetworkInterface], list[Link]]] = {
            name: getattr(self, method) for name, method in WAYS.items()
        }
        for entry, name in enumerate(_DIRECTIONS):
            bpf.map("captures").update(KEY.pack(entry), KEY.pack(bpf.program(name).fd))
        bpf.map("socket_captures").update(KEY.pack(0), KEY.pack(bpf.program(_SOCKET).fd))

    @property
    def how(self) -> str:
        """The way that was taken last."""
        return next(iter(self._ways))

    @property
    def by_sockets(self) -> bool:
        """Whether the way that was taken last does not tell whose packets are."""
        return WAYS[self.how] == _SOCKET

    def knows(self, link_type: int) -> bool:
        """Whether the filter has a meaning for such packets."""
        return not self._filters or link_type in self._filters

    def attach(self, interface: NetworkInterface) -> list[Link]:
        """See what passes the interface, either way. BpfError, where none of them works."""
        how = self.how
        try:
            return self._ways[how](interface)
        except UsageError:  # the filter's fault, and no kernel's
            raise
        except PellucidError as error:
            if len(self._ways) == 1 or interface.number not in dict(socket.if_nameindex()):
                raise
            del self._ways[how]
            log.info("%s: packets are captured by %s", error, self.how)
        return self.attach(interface)

    def tcx(self, interface: NetworkInterface) -> list[Link]:
        """By links, which go with this process."""
        return [
            attach_tcx(self._of(interface, name), interface.number, egress=name == "egress")
            for name in _DIRECTIONS
        ]

    def clsact(self, interface: NetworkInterface) -> list[Link]:
        """By filters of a clsact qdisc, which have to be removed."""
        self._clsact = self._clsact or Clsact()
        programs = [(name == "egress", self._of(interface, name)) for name in _DIRECTIONS]
        return self._clsact.attach(interface.number, programs)

    def packet_socket(self, interface: NetworkInterface) -> list[Link]:
        """As the filter of a packet socket, which takes nothing into its queue."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, self._of(interface, _SOCKET).fd)
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
        to_socket = name == _SOCKET
        captures = self._bpf.map("socket_captures" if to_socket else "captures")
        entry = 0 if to_socket else _DIRECTIONS.index(name)
        code = translate(
            self._filters[link_type],
            captures.fd,
            entry,
            link_layer=link_type == ETHERNET,
            miss=0 if to_socket else _NEXT,
        )
        return RawProgram(f"filter_{name}", SOCKET_FILTER if to_socket else SCHED_CLS, code)

    def close(self) -> None:
        """Give up what belongs to no interface."""
        for program in self._made.values():
            program.close()
        if self._clsact:
            self._clsact.close()
