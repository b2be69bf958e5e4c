"""Attempts made from inside a child process that first becomes somebody else."""

from __future__ import annotations

import ctypes
import errno
import json
import os
from typing import TYPE_CHECKING, Any

from pellucid import plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]

libc = ctypes.CDLL(None, use_errno=True)


def inside(prepare: Callable[[], object], act: Callable[[], Any]) -> Any:
    """Fork; in the child `prepare`, then `act`: what it returned, or the name of the error that it got."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            answer = act()
        except OSError as error:
            answer = errno.errorcode[error.errno or 0]
        except BaseException as error:  # noqa: BLE001 - a forked test must never go on as the test run
            answer = repr(error)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = json.loads(answers.read())
    os.waitpid(child, 0)
    return answer


def become(uid: int) -> None:
    """An ordinary user, as a login would."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def call(name: str, *arguments: int | bytes | None) -> None:
    """A call of libc; OSError if it fails."""
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def trace(pid: int) -> None:
    """Attach to a process as a debugger does, and leave it again."""
    call("ptrace", PTRACE_ATTACH, pid, None, None)
    os.waitpid(pid, 0)
    call("ptrace", PTRACE_DETACH, pid, None, None)


def keep_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find what is installed now: nobody may not enter root's home, where this Python may be."""
    found = {group: plugins.load(group) for group in (plugins.PARSERS, plugins.PROBES, plugins.SINKS)}
    monkeypatch.setattr(plugins, "load", found.__getitem__)
