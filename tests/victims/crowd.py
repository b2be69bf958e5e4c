"""Many HTTPS connections of one process, all in the middle of a message at once: `crowd.py CERT KEY N UPLOAD [FILE...]`.

N clients send UPLOAD bytes each; the server answers with one of the FILEs, which are named by the coding of their
contents (`x.gzip`). Of each upload, or where there is none of each answer, the last byte waits until a line
comes from stdin, which is asked for by printing `pending`. Then a JSON line for each connection tells the client's
port, and the SHA-256 of what the server and what the client has received.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import ssl
import sys
from pathlib import Path

PIECE = 64 * 1024


class Crowd:
    """Both ends of all connections."""

    def __init__(self, number: int, upload: int, files: list[Path]) -> None:
        self.number = number
        self.upload = upload
        self.files = [(file.suffix[1:], file.read_bytes()) for file in files] or [("identity", b"stored")]
        self.served: dict[int, str] = {}
        self.pending = 0
        self.all_pending = asyncio.Event()
        self.go_on = asyncio.Event()

    async def wait(self) -> None:
        """Until everybody waits here, and a line has come."""
        self.pending += 1
        if self.pending == self.number:
            self.all_pending.set()
        await self.go_on.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        await reader.readuntil(b"\r\n\r\n")
        port = writer.get_extra_info("peername")[1]
        digest = hashlib.sha256()
        left = self.upload
        while left:
            piece = await reader.read(min(PIECE, left))
            digest.update(piece)
            left -= len(piece)
        self.served[port] = digest.hexdigest()
        coding, body = self.files[port % len(self.files)]
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:-1])
        await writer.drain()
        if not self.upload:
            await self.wait()
        writer.write(body[-1:])
        await writer.drain()

    async def ask(self, port: int, context: ssl.SSLContext, permits: asyncio.Semaphore) -> dict[str, object]:
        """Make one request."""
        async with permits:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        own = writer.get_extra_info("sockname")[1]
        body = random.Random(own).randbytes(self.upload)
        writer.write(
            f"POST /{own} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        for at in range(0, max(len(body) - 1, 0), PIECE):
            writer.write(body[at : min(at + PIECE, len(body) - 1)])
            await writer.drain()
        if self.upload:
            await self.wait()
            writer.write(body[-1:])
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        answer = await reader.readexactly(int(head.split("Content-Length: ")[1].split()[0]))
        writer.close()
        return {"port": own, "served": self.served[own], "received": hashlib.sha256(answer).hexdigest()}


async def main() -> None:
    """Run them all."""
    cert, key, number, upload, *files = sys.argv[1:]
    crowd = Crowd(int(number), int(upload), [Path(file) for file in files])
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.load_cert_chain(cert, key)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    server = await asyncio.start_server(crowd.serve, "127.0.0.1", 0, ssl=serving, backlog=crowd.number)
    port = server.sockets[0].getsockname()[1]
    permits = asyncio.Semaphore(50)
    asked = [asyncio.create_task(crowd.ask(port, asking, permits)) for _ in range(crowd.number)]
    await crowd.all_pending.wait()
    print("pending", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    crowd.go_on.set()
    for told in await asyncio.gather(*asked):
        print(json.dumps(told))  # noqa: T201


asyncio.run(main())
