"""An HTTPS server by Python's ssl: `https_server.py MODE PORT CERT KEY`, MODE being threads or asyncio.

It answers with the hash of the body that it received, and prints one JSON line for each request: who asked for
what. `threads` reads and writes sockets; `asyncio` gives the library memory BIOs instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def told(client: tuple[str, int], path: str, body: bytes) -> bytes:
    """Print what a request was; return what to answer."""
    answer = hashlib.sha256(body).hexdigest()
    line = {"client": f"{client[0]}:{client[1]}", "path": path, "size": len(body), "answer": answer}
    print(json.dumps(line), flush=True)  # noqa: T201
    return answer.encode()


class Handler(BaseHTTPRequestHandler):
    """One connection of the threaded server."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer by one call

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = told(self.client_address, self.path, body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay silent: `told` says it."""


def serve_by_threads(port: int, context: ssl.SSLContext) -> None:
    """Serve until the end of the process."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection of the asyncio server."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        lines = head.decode().lower().split("\r\n")
        size = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        body = await reader.readexactly(size)
        answer = told(writer.get_extra_info("peername"), lines[0].split()[1], body)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()


async def until_it_leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection until the client closes it."""
    try:
        await converse(reader, writer)
    except asyncio.IncompleteReadError:
        writer.close()


async def serve_by_asyncio(port: int, context: ssl.SSLContext) -> None:
    """Serve until the end of the process."""
    server = await asyncio.start_server(until_it_leaves, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


def main() -> None:
    """Run the server that the command line names."""
    mode, port, cert, key = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if mode == "threads":
        serve_by_threads(int(port), context)
    else:
        asyncio.run(serve_by_asyncio(int(port), context))


main()
