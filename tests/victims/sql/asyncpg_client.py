"""Prepared statements with binary values by asyncpg, whose TLS goes through memory, and what it says of each."""

import asyncio
import datetime as dt
import decimal
import json
import ssl
import sys
import uuid

import asyncpg

port, user, password, database = int(sys.argv[1]), *sys.argv[2:5]
TYPES = ("bool", "int2", "int8", "float8", "numeric", "text", "uuid", "date", "timestamp", "jsonb", "int4[]")
TEXT = "SELECT " + ", ".join(f"${at}::{name}" for at, name in enumerate(TYPES, 1))
DAY = dt.date(2024, 2, 29)


def told(text, parameters, rows):
    """Say what became of a command."""
    sys.stdout.write(json.dumps({"text": text, "parameters": parameters, "rows": rows}) + "\n")


async def main():
    """Run them all."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session = await asyncpg.connect(
        host="127.0.0.1", port=port, user=user, password=password, database="postgres", ssl=context
    )
    for number in range(30):
        amount, id = decimal.Decimal(number * 12345) / 1000, uuid.UUID(int=number)
        moment = dt.datetime(1999, 12, 31, 23, 59, 59, number)  # noqa: DTZ001  # SQL has such
        row = await session.fetch(
            TEXT, number % 2 == 0, -number, number << 40, number / 3, amount, f"süß {number}", id, DAY, moment,
            json.dumps({"a": number}), [number, None, -number],
        )  # fmt: skip
        shown = [number % 2 == 0, -number, number << 40, number / 3, str(amount), f"süß {number}", str(id), str(DAY),
                 str(moment), json.dumps({"a": number}), [number, None, -number]]  # fmt: skip
        told(TEXT, shown, len(row))
    await session.execute("CREATE TABLE many (id int, name text)")
    told("CREATE TABLE many (id int, name text)", None, None)
    rows = [(number, f"row {number}") for number in range(500)]
    await session.executemany("INSERT INTO many VALUES ($1, $2)", rows)
    for row in rows:
        told("INSERT INTO many VALUES ($1, $2)", list(row), 1)
    async with session.transaction():
        cursor = await session.cursor("SELECT * FROM many")
        while batch := await cursor.fetch(200):
            told("SELECT * FROM many", None, len(batch))
    await session.close()


asyncio.run(main())
