"""Two hundred commands of many kinds by psycopg 3 on the system's libpq, and what it says of each: a line of JSON.

Without TLS if the last word is `plain`.
"""

import json
import sys

import psycopg


def told(command):
    """Say what became of a command."""
    sys.stdout.write(json.dumps(command) + "\n")


port, user, password, database = sys.argv[1:5]
options = {"host": "127.0.0.1", "port": port, "user": user, "sslmode": "require"}
options |= {"sslmode": "disable"} if sys.argv[-1] == "plain" else {}


def run(cursor, text, *parameters):
    """Run one statement, prepared where there are parameters."""
    rows = error = None
    try:
        rows = cursor.execute(text, parameters or None).rowcount
    except psycopg.Error as failure:
        error = failure.sqlstate
    bound = [str(value).lower() if isinstance(value, bool) else value for value in parameters] or None
    told({"text": text.replace("%s", "${}"), "parameters": bound, "rows": rows, "error": error})


try:
    psycopg.connect(password="wrong", dbname="postgres", **options)
except psycopg.OperationalError:
    told({"text": "connect", "error": "28P01"})

with psycopg.connect(password=password, dbname="postgres", autocommit=True, **options) as session:
    cursor = session.cursor()
    run(cursor, "DROP TABLE IF EXISTS goods")
    run(cursor, "CREATE TABLE goods (id int PRIMARY KEY, name text, price float8)")
    for number in range(40):
        run(cursor, "INSERT INTO goods VALUES (%s, %s, %s)", number, f"name {number} süß 🌍", number / 4)
    for number in range(40):
        run(cursor, "SELECT * FROM goods WHERE id < %s", number)
    for number in range(30):
        run(cursor, f"UPDATE goods SET price = price + 1 WHERE id % 30 = {number}")
    for number in range(20):
        run(cursor, f"SELECT {number} FROM nowhere_{number}")
    for number in range(20):
        run(cursor, "SELECT %s::int / 0", number)
    run(cursor, "SELECT repeat('x', 40000) FROM goods")
    run(cursor, "SELECT '" + "long " * 20_000 + "'")
    with session.pipeline():
        several = [
            session.cursor().execute("SELECT %s::text", (f"pipelined {number}",)) for number in range(40)
        ]
    for number, one in enumerate(several):
        told({"text": "SELECT ${}::text", "parameters": [f"pipelined {number}"], "rows": one.rowcount})
    with cursor.copy("COPY goods (id) FROM STDIN") as copy:
        for number in range(1000, 1007):
            copy.write_row((number,))
    told({"text": "COPY goods (id) FROM STDIN", "rows": cursor.rowcount})
    with cursor.copy("COPY goods TO STDOUT") as copy:
        rows = len(list(copy))
    told({"text": "COPY goods TO STDOUT", "rows": rows})
