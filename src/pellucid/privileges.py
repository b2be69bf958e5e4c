"""How the decoder gives up everything, for good."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
from pathlib import Path
from typing import NamedTuple

from pellucid.errors import PellucidError
from pellucid.libbpf._native import lib

# linux/prctl.h, linux/capability.h
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522

ACCOUNT = "pellucid"
DYNAMIC_UIDS = range(61184, 65520)
"""systemd's range for services without an account of their own (systemd.exec(5), DynamicUser=)."""

ORPHAN_US = 500_000
"""How long the decoder may still write after its tracer ended; then the kernel ends it.

Half a second, for a second is what is promised, and the tracer's own end takes up to 0.3 s (it detaches).
"""

_libc = ctypes.CDLL(None, use_errno=True)


class Ids(NamedTuple):
    """Whom a process runs as."""

    uid: int
    gid: int


def decoder_ids() -> Ids:
    """Those of the account `pellucid`, or ids that no account, no group and no process has."""
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
        taken |= _uids_in_use()
    else:
        return Ids(account.pw_uid, account.pw_gid)
    free = next((uid for uid in DYNAMIC_UIDS if uid not in taken), None)
    if free is None:
        raise PellucidError(f"no uid is free for the decoder: create a system account named {ACCOUNT}")
    return Ids(free, free)


def _uids_in_use() -> set[int]:
    uids = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                uids.add(entry.stat().st_uid)
            except FileNotFoundError:  # it has just ended
                continue
    return uids


def give_up_privileges(ids: Ids, parent: int) -> None:
    """Become `ids` for good, as `drop_privileges` does, and end with the parent, as `follow` does.

    The order matters: changing the uid resets the signal for the parent's death.
    """
    drop_privileges(ids)
    follow(parent)


def drop_privileges(ids: Ids) -> None:
    """Become `ids` with no capability, no way to gain one, and nobody who may trace it.

    The order matters: the bounding set needs a capability to be emptied. Raises PermissionError where
    this process may not change its user or capabilities.
    """
    os.chdir("/")
    os.umask(0o077)
    for capability in range(_last_capability() + 1):
        _prctl(PR_CAPBSET_DROP, capability)
    os.setgroups([])
    os.setresgid(ids.gid, ids.gid, ids.gid)
    os.setresuid(ids.uid, ids.uid, ids.uid)
    _empty_capabilities()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)


def follow(parent: int) -> None:
    """Live no longer than `parent`, but for ORPHAN_US; PellucidError where that is not our parent any more."""
    error = lib.end_after(parent, ORPHAN_US)
    if error:
        raise PellucidError(f"cannot follow the tracer's end: {os.strerror(-error)}")
    if os.getppid() != parent:
        raise PellucidError("the tracer ended before the decoder was ready")


def _last_capability() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise _refused(f"prctl({option})")


def _empty_capabilities() -> None:
    """capset(2) with nothing in it; changing the uid has done this already, but for inheritable ones."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _libc.capset(header, nothing):
        raise _refused("capset")


def _refused(call: str) -> OSError:
    """The error of the C library's last call; PermissionError where it is one."""
    error = ctypes.get_errno()
    return OSError(error, f"{call}: {os.strerror(error)}")
