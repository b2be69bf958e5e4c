"""Where packets of one interface are seen: by tcx links, which go with this process."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pellucid.attach.classic import translate
from pellucid.libbpf import RawProgram, attach_tcx
from pellucid.libbpf.programs import SCHED_CLS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pellucid.attach.classic import Classic
    from pellucid.attach.interfaces import NetworkInterface
    from pellucid.libbpf import BpfObject, Link, Program

_KEY = struct.Struct("<I")
_NEXT = -1
"""TCX_NEXT and TC_ACT_UNSPEC: whoever comes after this program decides what becomes of the packet."""
_DIRECTIONS = ("ingress", "egress")
"""The programs, in the order of their places in `captures` of packets.bpf.c."""


class PacketHooks:
    """Attaches the programs of packets.bpf.o, behind a filter where there is one."""

    how = "tcx"

    def __init__(self, bpf: BpfObject, filters: Mapping[int, Sequence[Classic]]) -> None:
        """`filters` are by link type; without any every packet is meant. BpfError where the kernel refuses one."""
        self._programs: dict[tuple[int, str], Program | RawProgram] = {}
        self._plain = {name: bpf.program(name) for name in _DIRECTIONS}
        self._filtered = bool(filters)
        captures = bpf.map("captures")
        for entry, name in enumerate(_DIRECTIONS):
            captures.update(_KEY.pack(entry), _KEY.pack(self._plain[name].fd))
            for link_type, program in filters.items():
                code = translate(program, captures.fd, entry, link_layer=link_type == 1, miss=_NEXT)
                self._programs[link_type, name] = RawProgram(f"filter_{name}", SCHED_CLS, code)

    def knows(self, link_type: int) -> bool:
        """Whether the filter has a meaning for such packets."""
        return not self._filtered or (link_type, _DIRECTIONS[0]) in self._programs

    def attach(self, interface: NetworkInterface) -> list[Link]:
        """See what passes the interface, either way. BpfError where it is refused."""
        return [
            attach_tcx(self._of(interface, name), interface.number, egress=name == "egress")
            for name in _DIRECTIONS
        ]

    def _of(self, interface: NetworkInterface, name: str) -> Program | RawProgram:
        assert interface.link_type is not None
        return self._programs[interface.link_type, name] if self._filtered else self._plain[name]

    def close(self) -> None:
        """Give up the filters."""
        for program in self._programs.values():
            if isinstance(program, RawProgram):
                program.close()
