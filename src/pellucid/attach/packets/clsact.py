"""Our filters at clsact qdiscs, for kernels without tcx links. Nobody removes them when a capture is killed, so each carries
who it is of: a slot that a running capture holds, as the name of a socket that the kernel frees with its process.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from pellucid.attach.packets.interfaces import dump
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, Link
from pellucid.libbpf.tc import add_clsact, add_filter, remove_clsact, remove_filter

if TYPE_CHECKING:
    from pellucid.libbpf import Program, RawProgram

_HANDLE = 0x70656C00  # "pel", a bit for who made the qdisc, and the slot
_MADE_QDISC = 0x80
_SLOT = 0x1F
_SLOTS = _SLOT + 1
"""Captures at a time."""
_GET_FILTER, _NEW_FILTER = 46, 44  # RTM_GETTFILTER, RTM_NEWTFILTER
_MESSAGE = struct.Struct("=BxxxiIII")  # struct tcmsg
_PARENTS = (0xFFFFFFF2, 0xFFFFFFF3)
"""TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS of linux/pkt_sched.h."""


class Clsact:
    """Filters of this capture; those of captures that were killed go first."""

    def __init__(self) -> None:
        """PellucidError where too many captures run."""
        for slot in range(_SLOTS):
            held = _hold(slot)
            if held:
                self._slot, self._held = slot, held
                return
        raise PellucidError(f"{_SLOTS} captures of packets run already in this network namespace")

    def attach(self, ifindex: int, programs: list[tuple[bool, Program | RawProgram]]) -> list[Link]:
        """Have these programs, those that are true for what leaves, see packets. BpfError where it cannot, and none is left."""
        for slot in {handle & _SLOT for handle in _ours(ifindex)}:
            self._remove_if_stale(ifindex, slot)
        others = any(handle & _MADE_QDISC for handle in _ours(ifindex))
        handle = _HANDLE | self._slot
        if add_clsact(ifindex) or others:  # whoever goes last removes it
            handle |= _MADE_QDISC
        try:
            for egress, program in programs:
                add_filter(program, ifindex, handle, egress=egress)
        except BpfError:
            _remove(ifindex, self._slot)
            raise
        return [Link(lambda: _remove(ifindex, self._slot))]

    def _remove_if_stale(self, ifindex: int, slot: int) -> None:
        """Remove the filters of a capture that does not run any more."""
        held = None if slot == self._slot else _hold(slot)
        if held or slot == self._slot:
            _remove(ifindex, slot)
        if held:
            held.close()

    def close(self) -> None:
        """Hold the slot no longer."""
        self._held.close()


def _hold(slot: int) -> socket.socket | None:
    """A socket with the slot's name; None where somebody else has it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(f"\0pellucid-clsact-{slot}")
    except OSError:
        held.close()
        return None
    return held


def _remove(ifindex: int, slot: int) -> None:
    """Remove the filters of one capture, and the qdisc if a capture made it and nobody uses it any more."""
    mine = {handle for handle in _ours(ifindex) if handle & _SLOT == slot}
    for handle in mine:
        for egress in (False, True):
            remove_filter(ifindex, handle, egress=egress)
    if any(handle & _MADE_QDISC for handle in mine) and not _handles(ifindex):
        remove_clsact(ifindex)


def _ours(ifindex: int) -> set[int]:
    """The handles of our filters at an interface."""
    return {handle for handle in _handles(ifindex) if handle & ~(_MADE_QDISC | _SLOT) == _HANDLE}


def _handles(ifindex: int) -> set[int]:
    """Those of all filters at clsact there; of chains of filters there is one that is 0."""
    found = set()
    for parent in _PARENTS:
        with suppress(PellucidError):  # there is no such qdisc
            for kind, payload in dump(_GET_FILTER, _MESSAGE.pack(0, ifindex, 0, parent, 0)):
                if kind == _NEW_FILTER:
                    found.add(_MESSAGE.unpack_from(payload)[2])
    return found
