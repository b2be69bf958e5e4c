"""One request by Python's ssl: `session.py PORT CERT VERSION CIPHERS`, VERSION being TLSv1_2 or TLSv1_3.

Prints what the library says of the session: version and ALPN protocol.
"""

from __future__ import annotations

import socket
import ssl
import sys

PORT, CERT, VERSION, CIPHERS = sys.argv[1:]
CONTEXT = ssl.create_default_context(cafile=CERT)
CONTEXT.minimum_version = CONTEXT.maximum_version = ssl.TLSVersion[VERSION]
CONTEXT.set_ciphers(CIPHERS)
CONTEXT.set_alpn_protocols(["no-such-protocol", "http/1.1"])

with (
    socket.create_connection(("127.0.0.1", int(PORT))) as sock,
    CONTEXT.wrap_socket(sock, server_hostname="localhost") as tls,
):
    tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    while tls.recv(4096):
        pass
    print(tls.version(), tls.selected_alpn_protocol())  # noqa: T201
