"""Many sessions at once, every second one in TLS; each says its own port, and asks only what bears its own number.

Words: port, user, password, database, `mysql` or `postgres`, how many sessions.
"""

import json
import socket
import ssl
import sys
import threading

port, user, password, database, driver, sessions = sys.argv[1:]
QUESTIONS = 10
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE


def mysql(secure):
    """Return a session of PyMySQL, and its socket."""
    import pymysql  # noqa: PLC0415  # only one of the drivers is there

    security = {"ssl": context} if secure else {"ssl_disabled": True}
    session = pymysql.connect(host="127.0.0.1", port=int(port), user=user, password=password, **security)
    return session, session._sock.getsockname()  # it does not tell otherwise


def postgres(secure):
    """Return a session of psycopg, and its socket."""
    import psycopg  # noqa: PLC0415

    session = psycopg.connect(
        host="127.0.0.1", port=port, user=user, password=password, dbname="postgres", autocommit=True,
        sslmode="require" if secure else "disable",
    )  # fmt: skip
    with socket.socket(fileno=socket.dup(session.pgconn.socket)) as end:
        return session, end.getsockname()


def ask(number, session):
    """Ask what only this session asks; wait for the others before each question."""
    with session, session.cursor() as cursor:
        for question in range(QUESTIONS):
            together.wait()
            cursor.execute(f"SELECT 'session {number}', {question}")
            assert cursor.fetchall()


together = threading.Barrier(int(sessions))
connect = {"mysql": mysql, "postgres": postgres}[driver]
threads = []
for number in range(int(sessions)):
    session, address = connect(secure=number % 2)
    sys.stdout.write(json.dumps({"number": number, "port": address[1]}) + "\n")
    threads.append(threading.Thread(target=ask, args=(number, session)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
