"""A hundred connections at once by asyncio: `hundred.py URL-HOST PORT`, one GET each, to /0 ... /99."""

from __future__ import annotations

import asyncio
import ssl
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


async def get(number: int) -> None:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(HOST, PORT, ssl=CONTEXT)
    writer.write(f"GET /{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()


async def main() -> None:
    """All of them."""
    await asyncio.gather(*map(get, range(100)))


asyncio.run(main())
