"""PostgreSQL's server, where it reads and writes the bytes of a client.

`secure_read(Port *, void *, size_t)` and `secure_write` alike return the number of bytes, and leave it to others whether
these go through TLS, GSSAPI or neither (src/backend/libpq/be-secure.c). Each connection has a process of its own, a
fork in which the `Port` often has the same address as in others; with that process it ends.
"""

from __future__ import annotations

from pellucid.attach.library import Library, Plain, Seal
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
    plain=Plain(
        calls=(
            Call(Direction.READ, (Function("be_tls_read"), Function("be_gssapi_read"))),
            Call(Direction.WRITE, (Function("be_tls_write"), Function("be_gssapi_write"))),
        ),
        seals=(Seal("be_tls_open_server"), Seal("secure_open_gssapi")),
        callers={
            "be_tls_read": "secure_read",
            "be_gssapi_read": "secure_read",
            "be_tls_write": "secure_write",
            "be_gssapi_write": "secure_write",
            "be_tls_open_server": "secure_open_server",
        },
    ),
    logins=logins,
    advice="; if it calls them otherwise, say how with --funcname, or where they are with --offset",
)
