"""Who is watched, as the programs in the kernel are told: constants before they are loaded, maps after."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address
from typing import TYPE_CHECKING

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.ends import Ends, Network
    from pellucid.libbpf import BpfObject

MAX_COMM = 15
"""Bytes of a task's name that the kernel keeps (TASK_COMM_LEN in linux/sched.h, less the NUL)."""

_KEY = struct.Struct("<I")
_NETWORK = struct.Struct("<I16s")
"""`struct network` in bpf/ends.h; the kernel's `struct bpf_lpm_trie_key` demands it."""
_YES, _NO = b"\1", b"\0"
_ALL_IPV4 = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class Filter:
    """Who and what is watched: all that is set must hold."""

    pid: int | None = None
    follow: bool = False
    """The descendants of `pid` too."""
    uid: int | None = None
    comms: tuple[bytes, ...] = ()
    """Names of threads or of their processes, at most MAX_COMM bytes each; empty for any."""
    cgroup_fd: int | None = None
    """A descriptor of a directory of cgroup v2; the groups below it are meant too."""
    ends: Ends | None = None
    """Ports and addresses of connections."""

    @property
    def only_pid(self) -> int | None:
        """The one process that probes are attached for: others do not even hit them."""
        return None if self.follow else self.pid

    @property
    def of_some(self) -> bool:
        """Whether only certain processes are watched."""
        return bool(self.pid or self.comms or self.cgroup_fd is not None or self.uid is not None)

    def constants(self) -> dict[str, int]:
        """The values of bpf/filter.h, follow.h and ends.h by name."""
        values = {
            "filter_pid": self.only_pid,
            "filter_follow": self.follow or None,
            "filter_uid": self.uid,
            "filter_cgroup": self.cgroup_fd is not None or None,
            "filter_comm": bool(self.comms) or None,
            "filter_port": (self.ends and bool(self.ends.ports)) or None,
            "filter_host": (self.ends and bool(self.ends.hosts)) or None,
        }
        return {name: int(value) for name, value in values.items() if value is not None}

    def size_maps(self, bpf: BpfObject) -> None:
        """Before loading: room for just what is asked for."""
        rooms = {"comms": len(self.comms)}
        if self.ends is not None:
            rooms |= {"ports": len(self.ends.ports), "networks": len(self.ends.hosts) + 1}
        if not self.follow:
            rooms["followed"] = 0
        for name, room in rooms.items():
            bpf.map(name).resize(max(room, 1))

    def fill(self, bpf: BpfObject) -> None:
        """After loading: the maps."""
        if self.cgroup_fd is not None:
            bpf.map("cgroups").update(_KEY.pack(0), _KEY.pack(self.cgroup_fd))
        for comm in self.comms:
            bpf.map("comms").update(comm.ljust(MAX_COMM + 1, b"\0"), _YES)
        if self.ends is not None:
            for port in self.ends.ports:
                bpf.map("ports").update(_KEY.pack(port), _YES)
            bpf.map("networks").update(network_key(_ALL_IPV4), _NO)  # though `::/0` is wanted
            for host in self.ends.hosts:
                bpf.map("networks").update(network_key(host), _YES)


def network_key(network: Network) -> bytes:
    """Prefix length and address as the kernel's trie has them, IPv4 as IPv4-mapped IPv6."""
    address, bits = network.network_address, network.prefixlen
    if isinstance(address, IPv6Address):
        return _NETWORK.pack(bits, address.packed)
    return _NETWORK.pack(bits + 96, bytes(10) + b"\xff\xff" + address.packed)


def comms(names: tuple[str, ...]) -> tuple[bytes, ...]:
    """The names as the kernel has them; UsageError for one that no task can have."""
    encoded = tuple(name.encode(errors="surrogateescape") for name in names)
    for name, raw in zip(names, encoded, strict=True):
        if not raw:
            raise UsageError("--comm needs a name: an empty one is nobody's")
        if len(raw) > MAX_COMM:
            kept = raw[:MAX_COMM].decode(errors="ignore")
            raise UsageError(
                f"--comm {name} is {len(raw)} bytes long, of which the kernel keeps {MAX_COMM}: "
                f"give these only, such as {kept}"
            )
    return encoded
