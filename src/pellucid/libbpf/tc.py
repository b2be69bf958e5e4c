"""Filters of TC at a clsact qdisc: what tcx links are for kernels before 6.6. They outlive the process that added them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pellucid.libbpf._native import lib
from pellucid.libbpf.object import check

if TYPE_CHECKING:
    from pellucid.libbpf.object import Program
    from pellucid.libbpf.programs import RawProgram


def add_clsact(ifindex: int) -> bool:
    """Have the interface take filters; whether it took none before. BpfError where it cannot."""
    result = lib.clsact_add(ifindex)
    if result == -errno.EEXIST:
        return False
    check(result, f"cannot add clsact to interface {ifindex}")
    return True


def remove_clsact(ifindex: int) -> None:
    """Undo that, with all filters; nothing where the interface is gone."""
    lib.clsact_remove(ifindex)


def add_filter(program: Program | RawProgram, ifindex: int, handle: int, *, egress: bool) -> None:
    """Have the program see packets before all other filters. BpfError where it cannot."""
    result = lib.filter_add(ifindex, egress, program.fd, handle)
    check(result, f"cannot attach {program.name} to interface {ifindex}")


def remove_filter(ifindex: int, handle: int, *, egress: bool) -> bool:
    """Remove a filter that has been added so; whether there was one."""
    return bool(lib.filter_remove(ifindex, egress, handle) == 0)
