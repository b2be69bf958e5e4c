"""A session that prepares a statement, waits for a line on stdin, and goes on with that statement and a plain query."""

import os
import sys

port, user, password, database, driver = sys.argv[1:6]
where = {"host": "127.0.0.1", "port": int(port), "user": user, "password": password}
STATEMENT, PLAIN = "SELECT %s + 1", "SELECT 'plain'"


def wait():
    """Let the capture begin."""
    sys.stdout.write("prepared\n")
    sys.stdout.flush()
    sys.stdin.readline()


if driver == "mysql":
    import mysql.connector

    how = {"ssl_verify_cert": False, "ssl_disabled": "WITHOUT_TLS" in os.environ}
    session = mysql.connector.connect(database=database, use_pure=True, **how, **where)
    prepared, plain = session.cursor(prepared=True), session.cursor()
    for number in (1, 2):
        prepared.execute(STATEMENT, (number,))
        prepared.fetchall()
        if number == 1:
            wait()
    plain.execute(PLAIN)
    plain.fetchall()
    session.close()
else:
    import psycopg

    with psycopg.connect(
        dbname="postgres", sslmode=os.environ.get("PGSSLMODE", "require"), **where
    ) as session:
        session.execute(STATEMENT, (1,), prepare=True).fetchall()
        wait()
        session.execute(STATEMENT, (2,), prepare=True).fetchall()
        session.execute(PLAIN).fetchall()
