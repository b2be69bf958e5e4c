"""MariaDB's and MySQL's server, where it reads and writes the bytes of a client.

`vio_read(Vio *, uchar *, size_t)`, and `vio_write` alike, move the bytes of sockets, also for `vio_read_buff`; a
`Vio` that has turned to TLS goes through `vio_ssl_read` and `vio_ssl_write` instead, and is one connection with what it was
before (vio/viosocket.c, vio/viossl.c). All return the number of bytes. `vio_reset`, which turns it to TLS, is no end.

`mysql_socket_vio_new` is what makes every `Vio`: `vio_new` calls it. MySQL 8 and newer is C++, and exports the same
functions by their mangled names (Itanium C++ ABI section 5.1).
"""

from __future__ import annotations

from pellucid.attach.library import Library, Plain, Seal
from pellucid.attach.sites import Call, Function
from pellucid.model import Direction

PROBE = Library(
    name="mysqld",
    title="MySQL or MariaDB server",
    calls=(
        Call(Direction.READ, (Function("vio_read"), Function("vio_ssl_read"))),
        Call(Direction.WRITE, (Function("vio_write"), Function("vio_ssl_write"))),
    ),
    created=("mysql_socket_vio_new",),
    freed=("vio_delete",),
    spellings={
        "_Z8vio_readP3VioPhm": "vio_read",
        "_Z12vio_ssl_readP3VioPhm": "vio_ssl_read",
        "_Z9vio_writeP3VioPKhm": "vio_write",
        "_Z13vio_ssl_writeP3VioPKhm": "vio_ssl_write",
        "_Z20mysql_socket_vio_new12MYSQL_SOCKET13enum_vio_typej": "mysql_socket_vio_new",
        "_Z10vio_deleteP3Vio": "vio_delete",
        "_Z9sslacceptP11st_VioSSLFdP3ViolPm": "sslaccept",
    },
    handshakes=False,
    plain=Plain(
        calls=(
            Call(Direction.READ, (Function("vio_ssl_read"),)),
            Call(Direction.WRITE, (Function("vio_ssl_write"),)),
        ),
        seals=(Seal("sslaccept", handle=1),),
    ),
    advice="; if it calls them otherwise, say how with --funcname, or where they are with --offset",
)
