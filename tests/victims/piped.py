"""TLS by memory BIOs through a pipe to another process, which owns the socket: `piped.py PORT`, one GET to /piped."""

from __future__ import annotations

import os
import socket
import ssl
import sys

PORT = int(sys.argv[1])
OURS, THEIRS = socket.socketpair()


def forward() -> None:
    """Be the process with the socket: pass bytes on, both ways, until the server closes."""
    with socket.create_connection(("127.0.0.1", PORT)) as server:
        if os.fork() == 0:
            while piece := THEIRS.recv(65536):
                server.sendall(piece)
        else:
            while piece := server.recv(65536):
                THEIRS.sendall(piece)
            THEIRS.shutdown(socket.SHUT_RDWR)
    os._exit(0)


def main() -> None:
    """Be the process with the plaintext."""
    context = ssl._create_unverified_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)

    def until_done(act):
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                OURS.sendall(outgoing.read())
                incoming.write(OURS.recv(65536))

    until_done(tls.do_handshake)
    tls.write(b"GET /piped HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    until_done(lambda: tls.read(65536))


if os.fork() == 0:
    OURS.close()
    forward()
THEIRS.close()
main()
