"""A client that ends what it sends in the middle of a COPY, and still reads: it prints the code of each error."""

import json
import re
import socket
import sys

import psycopg

_, port, user, password, _ = sys.argv
with psycopg.connect(
    dbname="postgres", host="127.0.0.1", port=int(port), user=user, password=password, sslmode="disable"
) as session:
    session.execute("CREATE TEMPORARY TABLE half(a text)")
    session.pgconn.send_query(b"COPY half FROM STDIN")
    with socket.socket(fileno=session.pgconn.socket) as link:
        link.setblocking(True)
        assert link.recv(1) == b"G"  # CopyInResponse
        link.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: link.recv(4096), b""))
        link.detach()
    session.close()
for code in re.findall(rb"\0C(\w{5})\0", answer):
    sys.stdout.write(json.dumps(code.decode()) + "\n")
