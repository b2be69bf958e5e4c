"""How the kernel is asked whose sockets are: each part returns its links, and raises BpfError where it is not to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.cgroups import cgroup, root
from pellucid.libbpf import (
    BpfError,
    attach_cgroup,
    attach_raw_tracepoint,
    close_links,
    iterate,
)
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.libbpf import BpfObject, Link

_USES = ("sock_send_length", "sock_recv_length")
_OLDER_USE = "tcp_rcv_space_adjust"
"""Where these are not there, before Linux 6.3: it names the socket that a process receives from as well."""


def _made(bpf: BpfObject) -> list[Link]:
    with cgroup(root()) as top:
        if top is None:
            raise BpfError("cgroup v2 is not mounted: see `mount -t cgroup2`")
        return [attach_cgroup(bpf.program("socket_created"), top)]


def _connected(bpf: BpfObject) -> list[Link]:
    return [attach_raw_tracepoint(bpf.program("socket_changed"), "inet_sock_set_state")]


def _used(bpf: BpfObject) -> list[Link]:
    program, links = bpf.program("socket_used"), []
    try:
        for tracepoint in _USES:
            links.append(attach_raw_tracepoint(program, tracepoint))  # noqa: PERF401 - kept on error
    except BpfError as error:
        close_links(links)
        log.debug("%s: what a process has accepted is known to be its from its first read on", error)
        return [attach_raw_tracepoint(program, _OLDER_USE)]
    return links


def _there(bpf: BpfObject) -> list[Link]:
    iterate(bpf.program("socket_there"), end=b"\0")
    return []


OWNERS: tuple[tuple[str, Callable[[BpfObject], list[Link]]], ...] = (
    ("who makes a socket", _made),
    ("who connects or listens", _connected),
    ("who uses a socket", _used),
    ("whose the sockets are that are there already", _there),
)
"""In the order in which they are to be asked: what is there comes last, so that none falls between."""
