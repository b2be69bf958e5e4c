"""What drivers seldom send: procedures with several results, cursors, texts of 16 MiB; what they say of each as JSON.

Words: port, user, password, database, `mysql` or `postgres`. A text is told by its SHA-256.
"""

import hashlib
import json
import sys

port, user, password, database, driver = sys.argv[1:6]
where = {"host": "127.0.0.1", "port": int(port), "user": user, "password": password}
LONG = "SELECT LENGTH('" + "süß " * (3 << 20) + "')"  # 18 MiB


def told(text, rows=None):
    """Say what became of a command."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    sys.stdout.write(json.dumps({"begin": text[:40], "sha256": digest, "rows": rows}) + "\n")


def mysql():
    """Ask MariaDB."""
    import pymysql  # noqa: PLC0415  # only one of the drivers is there

    session = pymysql.connect(
        database=database, ssl_disabled=True, autocommit=True, max_allowed_packet=64 << 20, **where
    )
    with session, session.cursor() as cursor:
        procedure = (
            "CREATE OR REPLACE PROCEDURE three() BEGIN SELECT 1; SELECT 2 UNION SELECT 3; SELECT 'inner'; END"
        )
        cursor.execute(procedure)
        told(procedure)
        cursor.execute("CALL three()")
        rows = cursor.rowcount
        while cursor.nextset():
            rows += cursor.rowcount
        told("CALL three()", rows)
        cursor.execute(LONG)
        told(LONG, 1)
        cursor.execute("SELECT REPEAT('x', 17 << 20)")
        told("SELECT REPEAT('x', 17 << 20)", 1)


def postgres():
    """Ask PostgreSQL."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(dbname="postgres", sslmode="disable", **where) as session:
        function = "CREATE FUNCTION three() RETURNS int AS $$ BEGIN PERFORM 'inner'; RETURN 3; END $$ LANGUAGE plpgsql"
        for text in (
            function,
            "SELECT three()",
            "DO $$ BEGIN PERFORM 'inner'; END $$",
            "LISTEN news",
            "NOTIFY news, 'x'",
        ):
            done = session.execute(text)
            told(text, done.rowcount if text.startswith("SELECT") else None)
        with session.cursor(name="slow") as cursor:
            cursor.execute("SELECT generate_series(1, 25)")
            told('DECLARE "slow" CURSOR FOR SELECT generate_series(1, 25)')
            for _ in range(4):
                told('FETCH FORWARD 10 FROM "slow"', len(cursor.fetchmany(10)))
        session.execute(LONG)
        told(LONG, 1)
        session.execute("SELECT REPEAT('x', 17 << 20)")
        told("SELECT REPEAT('x', 17 << 20)", 1)


{"mysql": mysql, "postgres": postgres}[driver]()
