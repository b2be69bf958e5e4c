"""Programs that are made here, instruction by instruction, and in no object file."""

from __future__ import annotations

import os

from pellucid.libbpf._native import ffi, lib
from pellucid.libbpf.object import BpfError

SOCKET_FILTER, SCHED_CLS = 1, 3
"""enum bpf_prog_type of linux/bpf.h."""

_LOG_SIZE = 1 << 16


class RawProgram:
    """A loaded program; `close` gives up this hold on it, what it is attached to keeps another."""

    def __init__(self, name: str, kind: int, code: bytes) -> None:
        """BpfError with the verifier's last words where the kernel refuses `code` (`struct bpf_insn` in a row)."""
        log = ffi.new("char[]", _LOG_SIZE)
        options = ffi.new("struct bpf_prog_load_opts *")
        options.sz = ffi.sizeof("struct bpf_prog_load_opts")
        options.log_level, options.log_size, options.log_buf = 1, _LOG_SIZE, log
        result = lib.bpf_prog_load(
            kind, name.encode(), b"Dual BSD/GPL", ffi.from_buffer(code), len(code) // 8, options
        )
        if result < 0:
            said = ffi.string(log).decode(errors="replace").strip().splitlines()
            reason = f"{os.strerror(-result)}: {said[-2] if len(said) > 1 else said}"
            raise BpfError(f"cannot load {name}: {reason}")
        self.name = name
        self.fd: int = result

    def close(self) -> None:
        """Give it up."""
        os.close(self.fd)
