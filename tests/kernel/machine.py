"""A machine within the machine: its own processes and mounts, so that a capture of everything sees only a test's."""

from __future__ import annotations

import os

from tests.kernel.inside import call

# linux/sched.h, linux/mount.h
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def own_machine() -> None:
    """Continue as the first process of a pid namespace, with mounts that nobody else sees; see `inside`.

    Everything that is started there ends with it.
    """
    call("unshare", CLONE_NEWNS | CLONE_NEWPID)
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        os._exit(0)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"proc", b"/proc", b"proc", 0, None)
