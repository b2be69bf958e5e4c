"""Drain a ring buffer from a native thread, so that a busy interpreter does not let it overflow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError
from pellucid.libbpf._native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator


class Drain:
    """Moves the records of a mapped ring into a bounded buffer; makes no BPF call, needs no privilege.

    `capacity` is the size in bytes of each of two buffers that take turns. When both are full the
    records stay in the ring, and when that is full the kernel counts what is lost.
    """

    def __init__(self, map_fd: int, ring_size: int, object_id: int, capacity: int) -> None:
        self._handle = self._start(map_fd, ring_size, object_id, capacity)
        if self._handle == ffi.NULL:
            raise PellucidError(f"cannot map the ring buffer: {os.strerror(ffi.errno)}")
        self.ready_fd: int = lib.drain_ready_fd(self._handle)
        """Readable when `take` has something to give."""

    def _start(self, map_fd: int, ring_size: int, object_id: int, capacity: int) -> Any:
        return lib.drain_start(map_fd, ring_size, capacity, object_id)

    def take(self, *, settle: bool = False) -> memoryview:
        """All records moved so far, as RECORD envelopes in a row; valid until the next call.

        With `settle`, first wait until the ring was found empty, or the buffer full: then an empty
        answer means that the ring holds nothing.
        """
        size = ffi.new("size_t *")
        start = lib.drain_take(self._handle, settle, size)
        return memoryview(ffi.buffer(start, size[0]))

    def settle(self) -> Iterator[memoryview]:
        """Everything that is in the ring now, batch by batch; not what programs add meanwhile."""
        until = lib.drain_produced(self._handle)
        while True:
            batch = self.take(settle=True)
            if len(batch):
                yield batch
            if lib.drain_taken(self._handle) >= until:
                return

    def close(self) -> None:
        """Stop the thread and unmap the ring."""
        if self._handle is not None:
            lib.drain_stop(self._handle)
        self._handle = None


def return_memory_early() -> None:
    """Have the allocator give big blocks back to the system as soon as they are free, for the rest of the process.

    glibc's own rule (mallopt(3), M_MMAP_THRESHOLD) raises the size from which it does so with every big block
    that is freed; then the memory of bodies is scattered over a heap that can no longer shrink.
    """
    lib.return_memory_early()
