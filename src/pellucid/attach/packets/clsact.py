"""Our filters at clsact qdiscs, for kernels without tcx links. Nobody removes them when a capture is killed, so each carries
who it is of: a number that a running capture holds, in the name of a socket that the kernel frees with its process.
"""

from __future__ import annotations

import secrets
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from pellucid.attach.packets.rtnetlink import RefusedError, attributes, dump
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, Link
from pellucid.libbpf.tc import add_clsact, add_filter, remove_clsact, remove_filter
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.attach.packets.network import Network
    from pellucid.libbpf import Program, RawProgram

_HANDLE = 0x70600000  # "p", a bit for who made the qdisc, and the number
_MADE_QDISC = 0x80000
_NUMBER = _MADE_QDISC - 1
_TRIES = 64
_GET_FILTER, _NEW_FILTER = 46, 44  # RTM_GETTFILTER, RTM_NEWTFILTER
_MESSAGE = struct.Struct("=BxxxiIII")  # struct tcmsg
_PARENTS = (0xFFFFFFF2, 0xFFFFFFF3)
"""TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS of linux/pkt_sched.h."""

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20  # linux/netlink.h, linux/sock_diag.h
_UNIX_REQUEST = struct.Struct("=BBHIIIII")  # struct unix_diag_req
_ALL_STATES = 0xFFFFFFFF
_SHOW_NAME_AND_UID = 0x41  # UDIAG_SHOW_NAME | UDIAG_SHOW_UID of linux/unix_diag.h
_UNIX_ANSWER = 16  # sizeof(struct unix_diag_msg)
_NAME, _UID = 0, 7  # UNIX_DIAG_NAME, UNIX_DIAG_UID
_UID_VALUE = struct.Struct("=I")


class Clsact:
    """Filters of this capture in one network namespace; those of captures that were killed go first."""

    def __init__(self, network: Network) -> None:
        """`network` is the one that this thread has entered. PellucidError where no number is to be had."""
        self._network = network
        self._number, self._held = _hold()

    def attach(self, ifindex: int, programs: Sequence[tuple[bool, Program | RawProgram]]) -> list[Link]:
        """Have these programs, those that are true for what leaves, see packets. BpfError where it cannot, and none is left."""
        theirs = {handle & _NUMBER for handle in _ours(ifindex)}
        for number in theirs - _running(theirs):
            _remove(ifindex, number)
        others = any(handle & _MADE_QDISC for handle in _ours(ifindex))
        handle = _HANDLE | self._number
        if add_clsact(ifindex) or others:  # whoever goes last removes it
            handle |= _MADE_QDISC
        try:
            for egress, program in programs:
                add_filter(program, ifindex, handle, egress=egress)
        except BpfError:
            _remove(ifindex, self._number)
            raise
        return [Link(lambda: self._leave(ifindex))]

    def _leave(self, ifindex: int) -> None:
        with self._network.entered():
            _remove(ifindex, self._number)

    def close(self) -> None:
        """Hold the number no longer."""
        self._held.close()


def _name(number: int) -> bytes:
    return b"\0pellucid-clsact-%d" % number


def _hold() -> tuple[int, socket.socket]:
    """A number that nobody has, chosen so that nobody can take it beforehand, and the socket that holds it."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for _ in range(_TRIES):
        number = secrets.randbelow(_MADE_QDISC)
        with suppress(OSError):  # somebody has it
            held.bind(_name(number))
            return number, held
    held.close()
    raise PellucidError("no name is free for filters of TC: something has bound every abstract socket")


def _running(numbers: set[int]) -> set[int]:
    """Those of these numbers that a running capture of this network namespace holds; whoever is not root holds none."""
    if not numbers:
        return set()
    names = {_name(number): number for number in numbers}
    request = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_NAME_AND_UID, 0, 0)
    try:
        sockets = dump(_SOCK_DIAG_BY_FAMILY, request, _NETLINK_SOCK_DIAG)
    except RefusedError as error:  # it lacks unix_diag
        log.warning(
            "filters of captures that were killed, if there are any, stay at the interfaces: %s", error
        )
        return numbers
    found = set()
    for kind, payload in sockets:
        said = dict(attributes(payload, _UNIX_ANSWER)) if kind == _SOCK_DIAG_BY_FAMILY else {}
        number = names.get(said.get(_NAME, b""))
        if number is not None and _UID_VALUE.unpack(said[_UID]) == (0,):
            found.add(number)
    return found


def _remove(ifindex: int, number: int) -> None:
    """Remove the filters of one capture, and the qdisc if a capture made it and nobody uses it any more."""
    mine = {handle for handle in _ours(ifindex) if handle & _NUMBER == number}
    for handle in mine:
        for egress in (False, True):
            remove_filter(ifindex, handle, egress=egress)
    if any(handle & _MADE_QDISC for handle in mine) and not _handles(ifindex):
        remove_clsact(ifindex)


def _ours(ifindex: int) -> set[int]:
    """The handles of our filters at an interface."""
    return {handle for handle in _handles(ifindex) if handle & ~(_MADE_QDISC | _NUMBER) == _HANDLE}


def _handles(ifindex: int) -> set[int]:
    """Those of all filters at clsact there; of chains of filters there is one that is 0."""
    found = set()
    for parent in _PARENTS:
        with suppress(RefusedError):  # there is no TC in this kernel, as `add_clsact` will say
            for kind, payload in dump(_GET_FILTER, _MESSAGE.pack(0, ifindex, 0, parent, 0)):
                if kind == _NEW_FILTER:
                    found.add(_MESSAGE.unpack_from(payload)[2])
    return found
