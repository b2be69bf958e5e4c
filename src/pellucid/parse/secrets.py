"""Secrets of handshakes as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import LABELS, KeyLogLine, random_of
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from pellucid.model import Logged


def secret_message(logged: Logged) -> KeyLogLine:
    """Show a secret."""
    secret, program = logged.secret, logged.program
    return KeyLogLine(
        ts=rfc3339(logged.time),
        pid=secret.pid,
        tid=secret.tid,
        uid=secret.uid,
        comm=secret.comm.split(b"\0", 1)[0].decode(errors="replace"),
        executable=program.executable,
        container=program.container,
        library=logged.library,
        started="mid" if secret.mid else "new",
        label=LABELS[secret.label],
        client_random=random_of(secret).hex(),
        secret=secret.bytes.hex(),
    )
