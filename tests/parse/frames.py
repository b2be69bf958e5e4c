"""Frames of HTTP/2, as protocol tests write them; header blocks are made by an encoder that is not ours."""

from __future__ import annotations

import struct

from jh2.hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM, END_HEADERS, PADDED, PRIORITY = 0x01, 0x04, 0x08, 0x20


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """SETTINGS, with numbers for names: `settings(s1=4096)`."""
    return frame(
        4, 0, 0, b"".join(struct.pack(">HI", int(name[1:]), value) for name, value in values.items())
    )


def data(stream: int, payload: bytes, *, end: bool = False) -> bytes:
    """DATA."""
    return frame(0, END_STREAM if end else 0, stream, payload)


def reset(stream: int, code: int) -> bytes:
    """RST_STREAM."""
    return frame(3, 0, stream, struct.pack(">I", code))


def goaway(last: int, code: int) -> bytes:
    """GOAWAY."""
    return frame(7, 0, 0, struct.pack(">II", last, code))


class Peer:
    """One end: its frames, and the table that its header blocks are made with."""

    def __init__(self) -> None:
        self.encoder = Encoder()

    def block(self, *fields: tuple[str, str]) -> bytes:
        """A header block."""
        return self.encoder.encode(list(fields))

    def headers(self, stream: int, *fields: tuple[str, str], end: bool = False) -> bytes:
        """HEADERS, whole."""
        return frame(1, END_HEADERS | (END_STREAM if end else 0), stream, self.block(*fields))

    def get(self, stream: int, path: str = "/", *fields: tuple[str, str]) -> bytes:
        """A request without a body."""
        return self.headers(stream, *asked("GET", path), *fields, end=True)

    def post(self, stream: int, path: str, body: bytes, *fields: tuple[str, str]) -> bytes:
        """A request with a body."""
        return self.headers(stream, *asked("POST", path), *fields) + data(stream, body, end=True)

    def answer(self, stream: int, body: bytes, *fields: tuple[str, str], status: int = 200) -> bytes:
        """A response with a body."""
        return self.headers(stream, (":status", str(status)), *fields) + data(stream, body, end=True)


def asked(method: str, path: str) -> list[tuple[str, str]]:
    """The pseudo-header fields of a request."""
    return [(":method", method), (":scheme", "https"), (":path", path), (":authority", "a.example")]


class Pair:
    """A client and a server, and what each of them sends before anything else."""

    def __init__(self) -> None:
        self.client = Peer()
        self.server = Peer()

    hello = PREFACE + settings(s3=100) + frame(8, 0, 0, struct.pack(">I", 65535))
    """What the client begins with."""
    welcome = settings(s3=128) + frame(4, 1, 0)
    """What the server begins with, and its answer to the client's settings."""
