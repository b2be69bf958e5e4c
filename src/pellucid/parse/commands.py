"""Commands of shells as messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.model import SHELLS, Shell
from pellucid.parse.text import readable
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from pellucid.model import Command


def shell_message(command: Command) -> Shell:
    """Show a command; names that are not UTF-8 with a mark for each byte that is not."""
    typed = command.line
    text, encoding = readable(command.text, cut=command.truncated)
    return Shell(
        ts=rfc3339(command.time),
        pid=typed.pid,
        ppid=typed.ppid,
        uid=typed.uid,
        user=command.user,
        comm=_name(typed.comm) or "",
        shell=SHELLS[typed.shell],
        tty=_device(_name(typed.tty)),
        cwd=_name(typed.directory),
        line=text,
        encoding=encoding,
        exit_code=command.status,
        duration_ms=None if command.ended is None else round((command.ended - command.time) / 1e6, 3),
        ended=command.how,
        truncated=command.truncated,
    )


def _name(raw: bytes) -> str | None:
    return raw.split(b"\0", 1)[0].decode(errors="replace") or None


def _device(tty: str | None) -> str | None:
    """A terminal as ps(1) calls it: the kernel's names for pseudo-terminals have no folder."""
    return tty and re.sub(r"^pts(?=\d)", "pts/", tty)
