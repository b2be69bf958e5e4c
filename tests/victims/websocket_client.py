"""A WebSocket client: `websocket_client.py PORT CERT`. It agrees to compress, if the server does.

It prints the extensions that both have agreed on, and waits for a line on standard input. Then it sends texts and binary
data, some in fragments, one of 5 MiB, and prints for each the hash of what it sent and what the server answered,
one JSON line each.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import ssl
import sys

from websockets.asyncio.client import connect

BIG = 5 << 20
SOME = random.Random(7).randbytes(BIG // 8)

MESSAGES: list[str | bytes | list[str]] = [
    "hello, Wörld",
    "hello, Wörld",
    ["in ", "three ", "fragments"],
    b"\x00\xff" * 999,
    SOME * 8,
    b"\x00\xff" * 999,
    "",
]


def whole(message: str | bytes | list[str]) -> bytes:
    """What a message says."""
    if isinstance(message, list):
        message = "".join(message)
    return message.encode() if isinstance(message, str) else message


async def main() -> None:
    """Say everything, and leave with a code of its own."""
    port, cert = sys.argv[1:]
    context = ssl.create_default_context(cafile=cert)
    uri = f"wss://localhost:{port}/chat?room=1"
    async with connect(uri, ssl=context, max_size=None) as socket:
        agreed = socket.response.headers.get("Sec-WebSocket-Extensions", "") if socket.response else ""
        print(json.dumps(agreed), flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.readline)
        for message in MESSAGES:
            await socket.send(message)
            sent = whole(message)
            line = {
                "size": len(sent),
                "sent": hashlib.sha256(sent).hexdigest(),
                "answer": await socket.recv(),
            }
            print(json.dumps(line))  # noqa: T201
        await (await socket.ping(b"are you there"))
        await socket.close(4001, "enough")


asyncio.run(main())
