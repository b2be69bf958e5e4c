"""Prepared statements by MySQL's own connector in Python; `compress` as the last word compresses."""

import datetime as dt
import decimal
import json
import sys

import mysql.connector


def told(command):
    """Say what became of a command."""
    sys.stdout.write(json.dumps(command) + "\n")


port, user, password, database = int(sys.argv[1]), *sys.argv[2:5]
session = mysql.connector.connect(
    host="127.0.0.1", port=port, user=user, password=password, database=database, use_pure=True,
    ssl_verify_cert=False, compress=sys.argv[-1] == "compress", autocommit=True,
)  # fmt: skip
plain = session.cursor()
plain.execute("SHOW SESSION STATUS LIKE 'Compression'")
assert plain.fetchall() == [("Compression", "ON" if sys.argv[-1] == "compress" else "OFF")]
plain.execute("DROP TABLE IF EXISTS bound")
plain.execute(
    "CREATE TABLE bound (i BIGINT, d DOUBLE, n DECIMAL(9,2), s TEXT, b BLOB, t DATETIME(6), e TIME, z INT)"
)
prepared = session.cursor(prepared=True)
TEXT = "INSERT INTO bound VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
for number in range(40):
    values = (
        number * 10**9 - 5, number / 3, decimal.Decimal(number) / 4, f"süß {number} " * number, bytes([255, number]),
        dt.datetime(2024, 2, 29, 1, 2, 3, number), dt.timedelta(hours=number, seconds=1), None,  # noqa: DTZ001  # SQL has such
    )  # fmt: skip
    prepared.execute(TEXT, values)
    shown = [str(value) if not isinstance(value, int | float | bytes | None) else value for value in values]
    shown[4], shown[6] = values[4].hex(), f"{number:02}:00:01"
    told({"text": TEXT.replace("%s", "?"), "parameters": shown, "rows": prepared.rowcount})
for number in range(40):
    prepared.execute("SELECT * FROM bound WHERE i < %s", (number * 10**9,))
    rows = len(prepared.fetchall())
    told({"text": "SELECT * FROM bound WHERE i < ?", "parameters": [number * 10**9], "rows": rows})
prepared.close()
session.close()
