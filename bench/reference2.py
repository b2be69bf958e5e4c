"""The least that could be called the same as Pellucid's way from the bytes of HTTP/2 to JSON."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import msgspec
from jh2._hazmat import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFACE = 24
"""Bytes that a client sends first."""

HEADER = Struct(">IBI")
DATA, HEADERS = 0, 1
END_STREAM = 1
Half = dict[str, Any]


class Side:
    """What is known of one direction of a connection."""

    def __init__(self, *, request: bool) -> None:
        self.request = request
        self.rest = b""
        self.decoder = Decoder()
        self.open: dict[int, Half] = {}


class Reference2:
    """Cuts bytes into frames, has jh2's compiled decoder read header blocks, and msgspec encode each exchange.

    No padding, continuation, reset or hole, no limits: of what h2load and nginx send, no more than they do.
    """

    def __init__(self) -> None:
        self.exchanges = 0
        self._encode = msgspec.json.Encoder().encode
        self._sides: dict[tuple[int, bool], Side] = {}
        self._requests: dict[tuple[int, int], Half] = {}

    @property
    def unanswered(self) -> int:
        """Requests that wait; Pellucid shows them too."""
        return len(self._requests)

    def run(self, pieces: Iterable[tuple[int, bool, bytes]]) -> None:
        """Read pieces of (connection, is it of the client, bytes)."""
        for connection, request, data in pieces:
            side = self._sides.get((connection, request))
            if side is None:
                side = self._sides[connection, request] = Side(request=request)
                self._frames(connection, side, data[PREFACE:] if request else data)
            else:
                self._frames(connection, side, side.rest + data if side.rest else data)

    def _frames(self, connection: int, side: Side, data: bytes) -> None:
        at = 0
        while len(data) - at >= HEADER.size:
            word, flags, stream = HEADER.unpack_from(data, at)
            start = at + HEADER.size
            end = start + (word >> 8)
            if end > len(data):
                break
            at = end
            kind = word & 0xFF
            if kind == HEADERS:
                fields = side.decoder.decode(data[start:end])
                side.open[stream] = {"headers": [field[:2] for field in fields], "body": b""}
            elif kind == DATA:
                side.open[stream]["body"] += data[start:end]
            if kind <= HEADERS and flags & END_STREAM:
                self._ended(connection, stream, side)
        side.rest = data[at:]

    def _ended(self, connection: int, stream: int, side: Side) -> None:
        half = side.open.pop(stream)
        half["size"] = len(half["body"])
        half["body"] = half["body"].decode()
        if side.request:
            self._requests[connection, stream] = half
            return
        request = self._requests.pop((connection, stream))
        self._encode(
            {"type": "http", "conn": connection, "stream": stream, "request": request, "response": half}
        )
        self.exchanges += 1
