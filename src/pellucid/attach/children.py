"""Probes of features that change the process for good, and are therefore tried in a child.

Each returns what it found, and raises PellucidError where the feature is not there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
import traceback
from typing import TYPE_CHECKING

from pellucid.attach import machine
from pellucid.errors import PellucidError
from pellucid.privileges import decoder_ids, give_up_privileges

if TYPE_CHECKING:
    from collections.abc import Callable

URETPROBE = {"x86_64": 335}
"""The number of the system call that a return probe is, where it is one (asm/unistd_64.h)."""

# linux/prctl.h, linux/seccomp.h, linux/filter.h
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_NUMBER, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def in_child(function: Callable[[], int]) -> int:
    """Run a function in a forked process: its result (0 to 255), or the negative number of a signal."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGILL, signal.SIG_DFL)  # it may come, and no fault handler is to tell of it
            status = function()
        except Exception:  # noqa: BLE001 - a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def decoder() -> str:
    """Whether a process can become the decoder: another user, without any capability."""
    ids, parent = decoder_ids(), os.getpid()

    def become() -> int:
        try:
            give_up_privileges(ids, parent)
        except (OSError, PellucidError):
            return 1
        return 0

    if in_child(become) != 0:
        raise PellucidError("a process could not change its user or drop its capabilities")
    return f"uid {ids.uid}, no capability"


def return_probes_in_sandboxes() -> str:
    """Whether a program's seccomp filter could refuse the system call that return probes are."""
    number = URETPROBE.get(os.uname().machine)
    if number is None or in_child(lambda: _answer(number)) == errno.ENOSYS:
        return "return probes are no system call here"

    def filtered() -> int:
        _refuse(number)
        return _answer(number)

    if in_child(filtered) == errno.EPERM:
        raise PellucidError("return probes are a system call here, which seccomp filters can refuse")
    return "return probes are a system call here, which no seccomp filter sees"


def return_probes_with_shadow_stacks() -> str:
    """Whether the kernel keeps shadow stacks in step when a return probe changes a return address."""
    if not machine.has_shadow_stacks():
        return "programs have no shadow stacks here"
    number = URETPROBE.get(os.uname().machine)
    # The two came in one series, this one first. A stable release may have it without the system call.
    if number is None or in_child(lambda: _answer(number)) == errno.ENOSYS:
        raise PellucidError(
            "programs can have shadow stacks, and nothing shows that return probes respect them"
        )
    return "return probes keep shadow stacks in step"


def _answer(number: int) -> int:
    """The error of a system call without arguments; the real one answers a stranger with SIGILL."""
    return ctypes.get_errno() if _libc.syscall(number) < 0 else 0


def _refuse(number: int) -> None:
    """A seccomp filter that answers this system call with EPERM, and lets all others pass."""
    code = b"".join(
        struct.pack("<HBBI", *instruction)
        for instruction in (
            (LOAD_NUMBER, 0, 0, 0),  # struct seccomp_data begins with it
            (JUMP_IF_EQUAL, 0, 1, number),
            (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM),
            (RETURN, 0, 0, SECCOMP_RET_ALLOW),
        )
    )
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = _Program(len(code) // 8, code)
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
