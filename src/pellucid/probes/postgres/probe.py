"""PostgreSQL's server, where it reads and writes the bytes of a client.

`secure_read(Port *, void *, size_t)` and `secure_write` alike return the number of bytes, and leave it to others whether
these go through TLS, GSSAPI or neither (src/backend/libpq/be-secure.c). Each connection has a process of its own, a
fork in which the `Port` often has the same address as in others; with that process it ends.
"""

from __future__ import annotations

from pellucid.attach.library import Library
from pellucid.attach.logins import logins
from pellucid.attach.sites import Call, Function
from pellucid.model import Direction

PROBE = Library(
    name="postgres",
    title="PostgreSQL server",
    calls=(
        Call(Direction.READ, (Function("secure_read"),)),
        Call(Direction.WRITE, (Function("secure_write"),)),
    ),
    own_process=True,
    role="server",
    handshakes=False,
    logins=logins,
    advice="; if it calls them otherwise, say how with --funcname, or where they are with --offset",
)
