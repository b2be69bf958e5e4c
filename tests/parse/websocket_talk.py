"""Dialogues of WebSocket connections, for the tests of this folder."""

from __future__ import annotations

from dialogue import Dialogue, raw_bytes
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame

from pellucid.model import RawData, WebSocket
from pellucid.parse.http1.parser import Http1
from pellucid.parse.websocket.parser import WebSocket as Parser

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ASK = b"GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


def switch(fields=b""):
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n%b\r\n" % fields


def talk(fields=b"", **options):
    """A dialogue whose handshake is done; the watched program is the client."""
    return Dialogue(parsers=(Http1, Parser), **options) >> ASK << switch(fields)


def frame(opcode, data=b"", *, mask=False, fin=True, rsv1=False):
    return Frame(opcode, data, fin=fin, rsv1=rsv1).serialize(mask=mask)


def client(opcode, data=b"", **options):
    return frame(opcode, data, mask=True, **options)


def deflater(*, keeps=True, bits=15):
    """The library's compression, as the sender applies it to its frames."""
    return PerMessageDeflate(False, not keeps, 15, bits)


def packed(extension, opcode, data, *, mask=False):
    return Frame(opcode, data).serialize(mask=mask, extensions=[extension])


def sockets(messages):
    return [message for message in messages if isinstance(message, WebSocket)]


def told(messages):
    """Direction, opcode and data of each WebSocket message, other messages by their type."""
    return [
        (m.direction, m.opcode, m.data) if isinstance(m, WebSocket) else type(m).__name__ for m in messages
    ]


def raws(messages):
    return [(m.direction, m.offset, raw_bytes(m)) for m in messages if isinstance(m, RawData)]
