"""The kernel's records of new executable mappings (watch.c)."""

from __future__ import annotations

import os

from pellucid.errors import PellucidError
from pellucid.libbpf._native import ffi, lib

_ROOM = 64 << 10  # a record's size has 16 bits


class NewMappings:
    """The records of every CPU that is on, from its making until `close`."""

    def __init__(self) -> None:
        self._handle = lib.watch_start()
        if self._handle == ffi.NULL:
            reason = os.strerror(ffi.errno)
            raise PellucidError(f"the kernel does not tell of new mappings (perf_event_open): {reason}")
        self._records = ffi.new("uint8_t[]", _ROOM)
        self.ready_fd: int = lib.watch_ready_fd(self._handle)
        """Readable when `take` has something to give, once for each time."""

    def take(self) -> bytes:
        """The next records, whole, as <linux/perf_event.h> has them; nothing when there are no more."""
        size = lib.watch_take(self._handle, self._records, _ROOM)
        return bytes(ffi.buffer(self._records, size))

    def close(self) -> None:
        """Ask no longer."""
        if self._handle is not None:
            lib.watch_stop(self._handle)
        self._handle = None
