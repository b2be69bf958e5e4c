"""Messages of a key log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model.messages import Message
from pellucid.model.records import LABELS

if TYPE_CHECKING:
    from pellucid.model.records import Secret

ENCRYPTED_SIZE = 8
"""Bytes of the encrypted premaster secret that a connection is told by in a line `RSA`."""

_RSA = LABELS.index("RSA")


def random_of(secret: Secret) -> bytes:
    """What the connection is told by in the secret's line."""
    return secret.random[:ENCRYPTED_SIZE] if secret.label == _RSA else secret.random


def key_log_line(label: str, client_random: str, secret: str) -> bytes:
    """A line of a key log (draft-ietf-tls-keylogfile section 2), from label and two texts in hex."""
    return f"{label} {client_random} {secret}\n".encode()


class KeyLogLine(Message, tag="secret", kw_only=True):
    """A secret of a TLS handshake, as a line of a key log has it (draft-ietf-tls-keylogfile)."""

    pid: int
    """Process, as the host counts them."""
    tid: int
    """The thread that did this part of the handshake."""
    uid: int
    """The user that the process runs as."""
    comm: str
    """The kernel's name for the thread: at most 15 bytes."""
    executable: str | None
    """The program's file, as its own mount namespace names it."""
    container: str | None
    """Id of the container, where the name of the process's cgroup has one."""
    library: str
    """The file that was watched: its own name (soname)."""
    started: str
    """`new`, or `mid` where the secret was read from a connection that is older than the probe."""
    label: str
    """`CLIENT_RANDOM`, `CLIENT_TRAFFIC_SECRET_0` and so on."""
    client_random: str
    """The 32 bytes that the handshake is told by, in hex; with the label `RSA` 8 bytes of the encrypted premaster
    secret."""
    secret: str
    """In hex: 32, 48 or 64 bytes."""
