"""Commands of shells as messages."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from pellucid.model import SHELLS, Ran, Shell
from pellucid.parse.text import readable
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from pellucid.model import Command


def shell_message(command: Command) -> Shell:
    """Show a command; names that are not UTF-8 with a mark for each byte that is not."""
    line = command.line
    text, encoding = readable(command.text, cut=command.truncated)
    typed = Shell(
        ts=rfc3339(command.time),
        pid=line.pid,
        ppid=line.ppid,
        uid=line.uid,
        user=command.user,
        comm=_name(line.comm) or "",
        shell=SHELLS[line.shell],
        tty=_device(_name(line.tty)),
        cwd=_name(line.directory),
        line=text,
        encoding=encoding,
        typed=UNSET if command.typed is None else _word(command.typed),
        exit_code=command.status,
        duration_ms=None if command.ended is None else round((command.ended - command.time) / 1e6, 3),
        ended=command.how,
        truncated=command.truncated,
    )
    if not isinstance(line, Ran):
        return typed
    return msgspec.structs.replace(
        typed,
        argv=[_word(word) for word in command.argv],
        script=_name(command.script) or "",
        lineno=line.lineno or None,
        depth=line.depth,
    )


def _word(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(raw).decode()}


def _name(raw: bytes) -> str | None:
    return raw.split(b"\0", 1)[0].decode(errors="replace") or None


def _device(tty: str | None) -> str | None:
    """A terminal as ps(1) calls it: the kernel's names for pseudo-terminals have no folder."""
    return tty and re.sub(r"^pts(?=\d)", "pts/", tty)
