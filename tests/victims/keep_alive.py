"""HTTPS clients that keep their connections: `keep_alive.py PORT CERT KEYLOG KIND...`.

A kind is 1.2 or 1.3, with `+resumed` behind it where the session is one of an earlier connection, which is closed by then.
Each connection asks once. The key log of what stays open goes to KEYLOG.kept, of all to KEYLOG. Whenever a line with numbers
of connections comes in, these ask once more; one without numbers ends it. It answers with `ok`.
"""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def ask(connection: ssl.SSLSocket) -> None:
    """One request, one answer."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"hello from nginx\n"):
        more = connection.recv(4096)
        if not more:
            sys.exit("the server has closed the connection")
        answer += more


def connect(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A connection that has asked once."""
    plain = socket.create_connection(("127.0.0.1", port))
    connection = context.wrap_socket(plain, server_hostname="localhost", session=session)
    ask(connection)
    return connection


def open_one(kind: str, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection of this kind."""
    version, _, resumed = kind.partition("+")
    context.minimum_version = context.maximum_version = VERSIONS[version]
    if not resumed:
        return connect(port, context)
    with connect(port, context) as earlier:
        session = earlier.session
    connection = connect(port, context, session)
    assert connection.session_reused
    return connection


def say_ok() -> None:
    """Everything that was asked for is done."""
    sys.stdout.write("ok\n")
    sys.stdout.flush()


def main() -> None:
    """Connect, then obey."""
    port, cert, key_log, *kinds = sys.argv[1:]
    connections, kept = [], set()
    for kind in kinds:
        context = ssl.create_default_context(cafile=cert)
        context.keylog_filename = key_log
        connections.append(open_one(kind, int(port), context))
        *_, last = Path(key_log).read_text().splitlines()
        kept.add(last.split()[1])
    lines = Path(key_log).read_text().splitlines(keepends=True)
    Path(f"{key_log}.kept").write_text("".join(line for line in lines if line.split()[1] in kept))
    say_ok()
    for order in sys.stdin:
        numbers = [int(word) for word in order.split()]
        for number in numbers:
            ask(connections[number])
        say_ok()
        if not numbers:
            return


main()
