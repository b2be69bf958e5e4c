"""OpenSSL, and what keeps its interface: LibreSSL, BoringSSL, aws-lc.

`SSL_peek` is left out on purpose: what it shows, a later read returns. Early data needs nothing of its
own, for `SSL_read_early_data` and `SSL_write_early_data` call the same inner functions. Of QUIC, each stream
is an object with the same calls, and thereby a connection.
"""

from __future__ import annotations

from pellucid.attach import boringssl, openssl
from pellucid.attach.library import Library
from pellucid.attach.sites import Call, Function
from pellucid.model import Direction

PROBE = Library(
    name="openssl",
    title="OpenSSL",
    calls=(
        Call(Direction.READ, (Function("SSL_read"), Function("SSL_read_ex", count=3))),
        Call(
            Direction.WRITE,
            (Function("SSL_write"), Function("SSL_write_ex", count=3), Function("SSL_write_ex2", count=4)),
        ),
    ),
    sendfile=("SSL_sendfile",),
    created=("SSL_new", "SSL_new_stream", "SSL_accept_stream", "SSL_accept_connection"),
    freed=("SSL_free",),
    shared=("SSL_up_ref",),
    reset=("SSL_clear",),
    socket=("SSL_set_fd", "SSL_set_rfd", "SSL_set_wfd"),
    unseen=("SSL_sendfile",),  # the kernel reads the file and encrypts it (kTLS)
    masks=(
        "gnutls_record_recv",
        "gnutls_record_send",
    ),  # libgnutls-openssl, whose objects are laid out otherwise
    telltales=(b"ssl/ssl_lib.c",),  # __FILE__ in their error reports; BoringSSL's is ssl_lib.cc
    finders=(boringssl.find_functions, openssl.find_functions),
)
