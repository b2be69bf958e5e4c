"""A server of events: `events_server.py PORT CERT KEY CODING FRAMING`; it sends what it reads, a line at a time.

CODING is gzip or identity, FRAMING chunked or close: a response with chunks, or one that ends with its connection.
Each line on standard input becomes one event for the client that is there, the empty line the end.
"""

from __future__ import annotations

import ssl
import sys
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

PORT, CERT, KEY, CODING, FRAMING = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1" if FRAMING == "chunked" else "HTTP/1.0"

    def do_GET(self) -> None:
        """Send one event for each line, at once."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Encoding", CODING)
        if FRAMING == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        packer = zlib.compressobj(wbits=31)
        for number, line in enumerate(iter(sys.stdin.readline, "\n")):
            event = f"event: line\nid: {number}\ndata: {line.strip()}\n\n".encode()
            if CODING == "gzip":
                event = packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)
            self.send(event)
        if FRAMING == "chunked":
            self.send(b"")

    def send(self, piece: bytes) -> None:
        """Send a piece of the body, the empty one being the end."""
        if FRAMING == "chunked":
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self.wfile.write(piece)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main() -> None:
    """Serve until the end of the process."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERT, KEY)
    server = HTTPServer(("127.0.0.1", int(PORT)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


main()
