"""HTTPS clients by Python's ssl: `https_client.py MODE PORT CERT`, MODE being urllib, http.client or asyncio.

Each sends three bodies to /0, /1 and /2, http.client and asyncio on one connection, and prints the answers.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import sys
import urllib.request

BODIES = (b"short", b"binary \x00\xff", b"a body longer than one TLS record\n" * 503)


def by_urllib(port: int, context: ssl.SSLContext) -> list[bytes]:
    """Use a connection for each."""
    answers = []
    for number, body in enumerate(BODIES):
        request = urllib.request.Request(f"https://localhost:{port}/{number}", data=body)
        with urllib.request.urlopen(request, context=context) as response:
            answers.append(response.read())
    return answers


def by_http_client(port: int, context: ssl.SSLContext) -> list[bytes]:
    """Use one connection for all."""
    connection = http.client.HTTPSConnection("localhost", port, context=context)
    answers = []
    for number, body in enumerate(BODIES):
        connection.request("POST", f"/{number}", body)
        answers.append(connection.getresponse().read())
    connection.close()
    return answers


async def by_asyncio(port: int, context: ssl.SSLContext) -> list[bytes]:
    """Use one connection for all, by memory BIOs."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    answers = []
    for number, body in enumerate(BODIES):
        head = f"POST /{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.readuntil(b"\r\n\r\n")
        answers.append(await reader.readexactly(64))
    writer.close()
    await writer.wait_closed()
    return answers


def main() -> None:
    """Run the client that the command line names."""
    mode, port, cert = sys.argv[1:]
    context = ssl.create_default_context(cafile=cert)
    if mode == "asyncio":
        answers = asyncio.run(by_asyncio(int(port), context))
    else:
        client = {"urllib": by_urllib, "http.client": by_http_client}[mode]
        answers = client(int(port), context)
    print(b"\n".join(answers).decode())  # noqa: T201


main()
