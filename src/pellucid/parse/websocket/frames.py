"""Frames of WebSocket (RFC 6455 section 5.2)."""

from __future__ import annotations

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

NAMES = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}

MAX_HEAD = 14
"""Bytes: two, a length of eight, a mask of four."""

_MAX_CONTROL = 125
"""Bytes of a control frame's payload (section 5.5)."""


class FrameError(ValueError):
    """The bytes are no frame."""


class Frame(NamedTuple):
    """The head of a frame."""

    final: bool
    compressed: bool
    """RSV1, as permessage-deflate uses it (RFC 7692 section 6)."""
    opcode: int
    key: bytes
    """What the payload is masked with: four bytes, or none."""
    head: int
    """Bytes of the head itself."""
    size: int
    """Bytes of the payload."""

    @property
    def control(self) -> bool:
        """It stands for itself, also between the fragments of a message."""
        return self.opcode >= CLOSE

    @property
    def minimal(self) -> bool:
        """The length takes no more bytes than it needs, as it must."""
        shortest = 2 if self.size <= _MAX_CONTROL else 4 if self.size <= 0xFFFF else 10
        return self.head == shortest + len(self.key)


def read_frame(data: bytes | bytearray) -> Frame | None:
    """Read the head at the beginning of `data`; None where it needs more bytes. Raises `FrameError`.

    Strict where nothing could be understood, and only there: a mask on the wrong side, or a length in
    more bytes than it needs, is read as programs read it.
    """
    if len(data) < 2:
        return None
    first, second = data[0], data[1]
    size = second & 0x7F
    end = 2
    if size > _MAX_CONTROL:
        end = 4 if size == 126 else 10
        if len(data) < end:
            return None
        size = int.from_bytes(data[2:end], "big")
    key = b""
    if second & 0x80:
        key = bytes(data[end : end + 4])
        end += 4
        if len(data) < end:
            return None
    frame = Frame(bool(first & 0x80), bool(first & 0x40), first & 0x0F, key, end, size)
    _check(frame, first & 0x30)
    return frame


def _check(frame: Frame, reserved: int) -> None:
    if reserved or frame.opcode not in NAMES:
        raise FrameError("a reserved bit or opcode")
    if frame.size >> 63:
        raise FrameError("a length beyond 63 bits")
    if frame.control and (frame.size > _MAX_CONTROL or not frame.final or frame.compressed):
        raise FrameError("a control frame that is long, fragmented or compressed")
    if frame.compressed and frame.opcode == CONTINUATION:
        raise FrameError("compression that begins within a message")


def unmask(data: bytes, key: bytes, at: int = 0) -> bytes:
    """Undo the masking of a piece that begins at index `at` of its payload (section 5.3).

    One XOR of two large integers: 1 MiB takes a few milliseconds, byte by byte it would be a tenth of a second.
    """
    if not key:
        return data
    size = len(data)
    at %= 4
    mask = (key[at:] + key[:at]) * (size // 4 + 1)
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(mask[:size], "little")
    return mixed.to_bytes(size, "little")
