"""A ring of the kernel's that only says that something has come; what, is in a map (kernel/bpf/ringbuf.c)."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.libbpf import BpfMap

_POSITION = slice(0, 8)
"""Where the page of the reader, and that of the writer behind it, have how far they have come."""


class Bell:
    """Heard as often as it rings, until `close`."""

    def __init__(self, ring: BpfMap) -> None:
        self._ring = ring
        page = mmap.PAGESIZE
        self._read = mmap.mmap(ring.fd, page)
        self._written = mmap.mmap(ring.fd, page, prot=mmap.PROT_READ, offset=page)

    def fileno(self) -> int:
        """For poll(2): readable while it rings."""
        return self._ring.fd

    def silence(self) -> None:
        """Have `fileno` be readable no more, until it rings again; look at what has come afterwards."""
        self._read[_POSITION] = self._written[_POSITION]

    def close(self) -> None:
        """Hear it no more."""
        self._read.close()
        self._written.close()
