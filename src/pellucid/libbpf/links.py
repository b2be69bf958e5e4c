"""Links: what attaches a program. Closing one detaches it; so does the end of the process."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.libbpf._native import ffi, lib
from pellucid.libbpf.object import BpfError, check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pellucid.libbpf.object import Program
    from pellucid.libbpf.programs import RawProgram

_CLOSERS = 32

_ITERATOR_READ = 1 << 16
"""More than the kernel buffers at a time: 8 pages, kernel/bpf/bpf_iter.c."""


class Link:
    """One attachment; close it once."""

    def __init__(self, release: Callable[[], Any]) -> None:
        self._release = release

    def close(self) -> None:
        """Detach."""
        self._release()


def close_links(links: Sequence[Link]) -> None:
    """Detach them all, many at a time: what each waits for, until no CPU runs its program, is the same."""
    with ThreadPoolExecutor(_CLOSERS) as pool:
        list(pool.map(Link.close, links))


class Site(NamedTuple):
    """Where one probe goes: a file offset, and what the program gets as its cookie there."""

    offset: int
    cookie: int


def has_uprobe_multi() -> bool:
    """Whether one link can hold all probes of a file (kernel 6.6, with the pid filter of 6.10 or a fix)."""
    return bool(lib.has_uprobe_multi())


def attach_uprobes(
    program: Program, path: str, sites: Sequence[Site], *, pid: int, at_return: bool, multi: bool
) -> list[Link]:
    """Attach `program` at all `sites` of the file: one link, or one for each site without `multi`.

    `pid` 0 watches every process that uses the file. BpfError where one cannot be: then none is left.
    """
    if multi:
        return [_attach_multi(program, path, sites, pid, at_return=at_return)]
    links: list[Link] = []
    try:
        for site in sites:
            links.append(_attach_one(program, path, site, pid, at_return=at_return))  # noqa: PERF401 - kept on error
    except BpfError:
        close_links(links)
        raise
    return links


def attach_raw_tracepoint(program: Program, tracepoint: str) -> Link:
    """Attach to a raw tracepoint, `sched_process_exit` for example."""
    fd = check(lib.bpf_raw_tracepoint_open(tracepoint.encode(), program.fd), f"cannot attach to {tracepoint}")
    return Link(lambda: os.close(fd))


def iterate(program: Program, tid: int = 0, *, end: bytes) -> bytes:
    """Run an iterator over all tasks, or over one thread: everything that its program writes before `end`, which
    the program must write when it is called for the last time: one thread's may never end by itself.

    Before kernel 6.1 it runs over all of them in either case.
    """
    pieces = []
    link = check(lib.iterator(program.fd, tid), f"cannot attach {program.name}")
    try:
        fd = check(lib.bpf_iter_create(link), f"cannot run {program.name}")
    finally:
        os.close(link)
    try:
        while piece := _read_on(fd):
            pieces.append(piece)
            if piece.endswith(end):
                break
    finally:
        os.close(fd)
    return b"".join(pieces).removesuffix(end)


def _read_on(fd: int) -> bytes:
    """The next bytes of an iterator; it says EAGAIN when it has passed over a million things without any."""
    while True:
        try:
            return os.read(fd, _ITERATOR_READ)
        except BlockingIOError:
            continue


def attach_cgroup(program: Program, cgroup_fd: int) -> Link:
    """Attach to a cgroup of version 2, and so to all below it, beside whatever else is attached there."""
    link = lib.bpf_program__attach_cgroup(program.handle, cgroup_fd)
    if link == ffi.NULL:
        raise BpfError(f"cannot attach {program.name} to a cgroup: {os.strerror(ffi.errno)}")
    return Link(lambda: lib.bpf_link__destroy(link))


def attach_tcx(program: Program | RawProgram, ifindex: int, *, egress: bool) -> Link:
    """Attach to packets that arrive at an interface, or leave it, beside whatever else is attached there."""
    fd = check(lib.tcx(program.fd, ifindex, egress), f"cannot attach {program.name} to interface {ifindex}")
    return Link(lambda: os.close(fd))


def _attach_multi(program: Program, path: str, sites: Sequence[Site], pid: int, *, at_return: bool) -> Link:
    offsets = ffi.new("unsigned long[]", [site.offset for site in sites])
    cookies = ffi.new("uint64_t[]", [site.cookie for site in sites])
    fd = check(
        lib.uprobe_multi(program.fd, os.fsencode(path), offsets, cookies, len(sites), pid, at_return),
        f"cannot attach {program.name} to {path}",
    )
    return Link(lambda: os.close(fd))


def _attach_one(program: Program, path: str, site: Site, pid: int, *, at_return: bool) -> Link:
    link = lib.uprobe(program.handle, os.fsencode(path), site.offset, site.cookie, pid, at_return)
    if link == ffi.NULL:
        reason = os.strerror(ffi.errno)
        raise BpfError(f"cannot attach {program.name} to {path} at {site.offset:#x}: {reason}")
    return Link(lambda: lib.bpf_link__destroy(link))
