"""The TCP connections that processes have: which sockets, by their inodes. The kernel's own view, from one pass of a BPF
iterator: 1 us a socket, where /proc/PID/fd and /proc/PID/net/tcp took 12, and a server may have a million of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.values import row_layout
from pellucid.decode.btf import Btf
from pellucid.libbpf import iterate

if TYPE_CHECKING:
    from collections.abc import Collection

    from pellucid.libbpf import BpfObject

PROGRAM = "connections"
"""Of keylog.bpf.c."""


def connected_sockets(programs: BpfObject, pids: Collection[int]) -> set[int]:
    """The inodes of the TCP sockets of these processes that are connected. A process that has ended has none.

    `programs` is keylog.bpf.o, loaded. BpfError where the kernel does not run it.
    """
    row = row_layout(Btf(programs.btf()), "connected", ("pid", "inode"))
    rows = iterate(programs.program(PROGRAM), end=bytes(row.size))
    return {inode for pid, inode in row.iter_unpack(rows) if pid in pids}
