"""Two hundred commands of many kinds by PyMySQL, and what it says of each: a line of JSON; without TLS if the last word is `plain`."""

import json
import ssl
import sys

import pymysql

port, user, password, database = int(sys.argv[1]), *sys.argv[2:5]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
options = {"host": "127.0.0.1", "port": port, "user": user, "charset": "utf8mb4"}
options |= {"ssl_disabled": True} if sys.argv[-1] == "plain" else {"ssl": context}


def told(text, rows=None, error=None):
    """Say what became of a command."""
    sys.stdout.write(json.dumps({"text": text, "rows": rows, "error": error}) + "\n")


def run(cursor, text, rows=None):
    """Run one statement."""
    try:
        told(text, cursor.execute(text) if rows is None else rows)
    except pymysql.MySQLError as error:
        told(text, None, str(error.args[0]))


try:
    pymysql.connect(password="wrong", **options)
except pymysql.MySQLError as error:
    told("connect", None, str(error.args[0]))

with (
    pymysql.connect(
        password=password, database=database, autocommit=True, local_infile=True, **options
    ) as session,
    session.cursor() as cursor,
):
    run(cursor, "DROP TABLE IF EXISTS goods")
    run(cursor, "CREATE TABLE goods (id INT PRIMARY KEY, name TEXT, price DOUBLE)")
    for number in range(60):
        run(cursor, f"INSERT INTO goods VALUES ({number}, 'name {number} süß 🌍', {number / 4})")
    for number in range(60):
        run(cursor, f"SELECT * FROM goods WHERE id < {number}")
    for number in range(30):
        run(cursor, f"UPDATE goods SET price = price + 1 WHERE id % 30 = {number}")
    for number in range(20):
        run(cursor, f"SELECT {number} FROM nowhere_{number}")
    run(cursor, "USE bank")
    run(cursor, "SELECT 'in the bank'")
    session.select_db(database)
    told(database)
    session.ping()
    told("")
    run(cursor, "SELECT REPEAT('x', 40000) FROM goods")
    run(cursor, "SELECT '" + "long " * 20_000 + "'")
    run(cursor, f"LOAD DATA LOCAL INFILE '{__file__}' IGNORE INTO TABLE goods (name) SET id = 1000")
    for number in range(20):
        run(cursor, f"DELETE FROM goods WHERE id BETWEEN {number * 2} AND {number * 2 + 1}")
