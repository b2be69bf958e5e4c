"""A WebSocket and a stream of events, both ends in one program: `live.py PORT CERT KEY`.

The bytes are fixed: frames are the examples of RFC 6455 section 5.7 and RFC 7692 section 7.2.3.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading

_, PORT, CERT, KEY = sys.argv
ADDRESS = ("127.0.0.1", int(PORT))

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
MASKED_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
FRAGMENTS_AROUND_A_PING = bytes.fromhex("010348656c 890548656c6c6f 80026c6f")
MASKED_PONG = bytes.fromhex("8a8537fa213d7f9f4d5158")
COMPRESSED_TWICE = bytes.fromhex("c107f248cdc9c90700 c105f200110000")
CLOSE = bytes.fromhex("880203e8")
MASKED_CLOSE = bytes.fromhex("888200000000 03e8")

FEED = b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = (b"event: price\nid: 1\ndata: 10\n\n: nothing yet\n\nda", b"ta: two\ndata: lines\n\n", b"")

CHAT = [
    (UPGRADE, UPGRADED),
    (MASKED_HELLO, FRAGMENTS_AROUND_A_PING),
    (MASKED_PONG, COMPRESSED_TWICE),
    (MASKED_CLOSE, CLOSE),
]
STREAM = [(FEED, EVENTS + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in PIECES))]


def read(end: ssl.SSLSocket, size: int) -> None:
    """Read so many bytes."""
    while size:
        size -= len(end.recv(size))


def serve(listener: socket.socket) -> None:
    """Answer what the client says, connection by connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERT, KEY)
    for dialogue in (CHAT, STREAM):
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as end:
            for said, answer in dialogue:
                read(end, len(said))
                end.sendall(answer)


def main() -> None:
    """Be both ends."""
    context = ssl.create_default_context(cafile=CERT)
    with socket.create_server(ADDRESS) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        for dialogue in (CHAT, STREAM):
            with context.wrap_socket(socket.create_connection(ADDRESS), server_hostname="localhost") as end:
                for said, answer in dialogue:
                    end.sendall(said)
                    read(end, len(answer))
        server.join()


main()
