"""As much of HTTP/2 as tells what was sent (RFC 9113, sections 3.4, 4.1 and 6.1)."""

from __future__ import annotations

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER = 9  # bytes: length (3), type, flags, stream (4)
_DATA, _PADDED = 0x0, 0x08


def data_of(frames: bytes) -> bytes:
    """What the DATA frames carry, in their order, of whatever stream. Fails where one has padding or is cut."""
    data = b""
    while frames:
        size, kind, flags = int.from_bytes(frames[:3]), frames[3], frames[4]
        assert len(frames) >= _HEADER + size, "the last frame is cut"
        if kind == _DATA:
            assert not flags & _PADDED
            data += frames[_HEADER : _HEADER + size]
        frames = frames[_HEADER + size :]
    return data
