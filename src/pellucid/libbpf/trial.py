"""Small requests that show what the kernel can do; nothing of them stays."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pellucid.libbpf._native import ffi, lib
from pellucid.libbpf.object import BpfError, check

if TYPE_CHECKING:
    from collections.abc import Iterator

# enum bpf_prog_type and enum bpf_map_type of linux/bpf.h; uprobes run programs of the type KPROBE.
SOCKET_FILTER, KPROBE, SCHED_CLS, CGROUP_SKB, RAW_TRACEPOINT = 1, 2, 3, 8, 17
RING_BUFFER = 27
# enum bpf_func_id of linux/bpf.h
GET_CURRENT_PID_TGID = 14
PROBE_READ_KERNEL = 113
GET_CURRENT_TASK_BTF = 158
KTIME_GET_COARSE_NS = 160
FOR_EACH_MAP_ELEM = 164
GET_ATTACH_COOKIE = 174
TASK_PT_REGS = 175
LOOP = 181

_LOG_SIZE = 1 << 16
_UNKNOWN_HELPER = ("invalid func ", "unknown func ", "program of this type cannot use helper ")
"""How verifiers of several ages refuse a helper that a program may not call (kernel/bpf/verifier.c)."""


def _instruction(code: int, value: int = 0) -> bytes:
    """One `struct bpf_insn` of linux/bpf.h, on register 0."""
    return struct.pack("<BBhi", code, 0, 0, value)


_RETURN_0 = _instruction(0xB7) + _instruction(0x95)  # BPF_ALU64 | BPF_MOV | BPF_K; BPF_JMP | BPF_EXIT


def _call(helper: int) -> bytes:
    return _instruction(0x85, helper)  # BPF_JMP | BPF_CALL


def _load(kind: int, code: bytes) -> tuple[int, str]:
    """A program's descriptor or a negative errno, and what the verifier said."""
    lib.log_collect()
    log = ffi.new("char[]", _LOG_SIZE)
    options = ffi.new("struct bpf_prog_load_opts *")
    options.sz = ffi.sizeof("struct bpf_prog_load_opts")
    options.log_level, options.log_size, options.log_buf = 1, _LOG_SIZE, log
    result = lib.bpf_prog_load(kind, ffi.NULL, b"GPL", ffi.from_buffer(code), len(code) // 8, options)
    return result, ffi.string(log).decode(errors="replace")


@contextmanager
def _nothing(kind: int) -> Iterator[int]:
    """A loaded program that does nothing; BpfError where that is refused."""
    result, _ = _load(kind, _RETURN_0)
    fd = check(result, "the kernel refuses to load any program")
    try:
        yield fd
    finally:
        os.close(fd)


def try_program() -> None:
    """Load a uprobe program that does nothing. BpfError where this process may not."""
    with _nothing(KPROBE):
        pass


def has_helper(number: int, kind: int = KPROBE) -> bool:
    """Whether programs of this kind may call this helper (enum bpf_func_id of linux/bpf.h).

    The kernel refuses the program that asks in either case, but only a helper that it has for its
    arguments. BpfError where it did not come so far as to look.
    """
    result, log = _load(kind, _call(number) + _RETURN_0)
    if result >= 0:
        os.close(result)
    elif not log:
        check(result, f"the kernel did not look at helper {number}")
    return not any(words in log for words in _UNKNOWN_HELPER)


def try_ring(size: int) -> None:
    """Make a ring buffer of this many bytes. BpfError where the kernel has none, or not the memory."""
    lib.log_collect()
    os.close(check(lib.bpf_map_create(RING_BUFFER, ffi.NULL, 0, 0, size, ffi.NULL), "no ring buffer"))


def try_tracepoint(name: str) -> None:
    """Attach a program that does nothing to a raw tracepoint. BpfError where that is refused."""
    with _nothing(RAW_TRACEPOINT) as program:
        os.close(check(lib.bpf_raw_tracepoint_open(name.encode(), program), name))


def try_tcx() -> None:
    """Ask for a tcx link of an interface that cannot be: only a kernel that has such links looks for it.

    BpfError where there are none.
    """
    with _nothing(SCHED_CLS) as program:
        result = lib.tcx(program, (1 << 31) - 1, False)
        if result != -errno.ENODEV:
            check(result if result < 0 else -errno.EINVAL, "no tcx links")


def try_kernel_types() -> None:
    """Read the kernel's own BTF as libbpf does when it loads an object. BpfError where it finds none."""
    lib.log_collect()
    types = lib.btf__load_vmlinux_btf()
    if types == ffi.NULL:
        reason = "none found" if ffi.errno in {errno.ENOENT, errno.ESRCH} else os.strerror(ffi.errno)
        raise BpfError(f"the kernel's types: {reason}")
    lib.btf__free(types)


def version() -> str:
    """The version of libbpf that runs, such as `v1.1`."""
    text: bytes = ffi.string(lib.libbpf_version_string())
    return text.decode()
