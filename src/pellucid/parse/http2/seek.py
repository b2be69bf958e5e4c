"""Where frames begin in a direction whose beginning was not seen, or that has a hole.

A place counts as the beginning of a frame when what follows it reads as frames of clients' streams, up to the end of all
bytes in hand or sixteen of them: at least two that are not empty, or the head of a request or response that ends
exactly with the bytes. Two headers at the right distance by chance are one in 2^40. Bytes that are no beginning are shown
as raw data.
"""

from __future__ import annotations

from pellucid.parse.http2.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADER,
    HEADERS,
    PADDED,
    RULES,
    SETTINGS,
    WITH_PRIORITY,
)
from pellucid.parse.protocol import Verdict

MOST = 16_384
"""Bytes of a frame here: what every program must take and nearly all keep to (RFC 9113 section 4.2)."""

_SETTING = 6
"""Bytes of a setting: its name and its value (section 6.5.1)."""

_MOST_SETTINGS = 16 * _SETTING
"""Bytes of the settings of a connection's first frame. Nine are defined."""

_MOST_HELD = 3 * MOST
"""Bytes, so that two headers are among them; what is still undecided then is taken for no beginning."""

_ENOUGH = 2
"""Frames that are not empty."""

_MOST_APART = 1 << 20
"""Between the numbers of two streams that are open at once. Headers that are read at the wrong place again and again,
where traffic repeats itself, have the first bytes of the payload in these numbers."""

_LOOKED_AT = 16
"""Frames at most: so many are no chance, and every byte in hand may begin as many."""

_NO_TEXT = 0x80
"""A header block nearly always begins with an indexed field: `:method` or `:status`."""

_PRIORITY_SIZE = 5
"""Bytes before the header block, where the frame says so (section 6.2)."""


def begins_frames(data: bytes | bytearray, at: int) -> Verdict:
    """Judge whether a frame begins at index `at`."""
    found = 0
    last = at
    near = 0
    for _ in range(_LOOKED_AT):
        if len(data) - at < HEADER.size:
            break
        frame = _plausible(data, at)
        if frame is None:
            return Verdict.NO
        length, stream = frame
        near = near or stream
        if stream and abs(stream - near) > _MOST_APART:
            return Verdict.NO
        found += length > 0
        last = at
        at += HEADER.size + length
    else:
        return Verdict.YES if found >= _ENOUGH else Verdict.NO
    if at < len(data) and not _may_begin(data, at):
        return Verdict.NO
    alone = found > 0 and at == len(data) and _is_head(data, last)
    return Verdict.YES if alone or found >= _ENOUGH else Verdict.MORE


def _plausible(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Length and stream of the frame whose header is at index `at`; None where it is unlikely to be one."""
    word, flags, stream = HEADER.unpack_from(data, at)
    kind, length = word & 0xFF, word >> 8
    if kind >= len(RULES) or length > MOST or stream >> 31 or (stream and not stream & 1):
        return None
    on_stream, least, exactly, may = RULES[kind]
    wrong = (
        (on_stream is not None and on_stream != (stream > 0))
        or length < least
        or (exactly and length != least)
        or flags & ~may
        or not (length or _may_be_empty(kind, flags))
    )
    if kind == SETTINGS and (length % 6 or bool(length) == bool(flags & ACK)):
        return None
    return None if wrong else (length, stream)


def _may_be_empty(kind: int, flags: int) -> bool:
    """Only the end of a body is, and the answer to SETTINGS."""
    return (kind == DATA and flags == END_STREAM) or (kind == SETTINGS and flags == ACK)


def _may_begin(data: bytes | bytearray, at: int) -> bool:
    """What there is of a header may become one that is plausible."""
    return int.from_bytes(data[at : at + 3].ljust(3, b"\0")) <= MOST


def _is_head(data: bytes | bytearray, at: int) -> bool:
    """A HEADERS frame on a client's stream that begins as header blocks do."""
    word, flags, stream = HEADER.unpack_from(data, at)
    if word & 0xFF != HEADERS or flags & PADDED or not stream & 1:
        return False
    begin = at + HEADER.size + (_PRIORITY_SIZE if flags & WITH_PRIORITY else 0)
    return begin < len(data) and bool(data[begin] & _NO_TEXT)


def begins_settings(data: bytes) -> Verdict:
    """Judge whether a connection begins with a server's first frame (RFC 9113 section 3.4)."""
    if len(data) < HEADER.size:
        return Verdict.MORE if data[3:].rstrip(b"\0") in {b"", b"\4"} and _may_begin(data, 0) else Verdict.NO
    word, flags, stream = HEADER.unpack_from(data)
    length = word >> 8
    if word & 0xFF != SETTINGS or flags or stream or length % _SETTING or length > _MOST_SETTINGS:
        return Verdict.NO
    names = data[HEADER.size : HEADER.size + length : _SETTING]
    if any(names):  # the first byte of two: no name is that large
        return Verdict.NO
    return Verdict.YES if length and len(data) >= HEADER.size + length else Verdict.MORE


class Seeker:
    """Holds bytes until a frame begins in them."""

    __slots__ = ("held", "offset")

    def __init__(self, offset: int) -> None:
        self.held = bytearray()
        self.offset = offset
        """Where they are in the stream of their direction."""

    def find(self) -> tuple[bytes, bool]:
        """Give up the bytes in which no frame begins; say whether one begins with those that are left."""
        at, size = 0, len(self.held)
        verdict = Verdict.NO
        while at < size:
            verdict = begins_frames(self.held, at) if _may_begin(self.held, at) else Verdict.NO
            if verdict is Verdict.YES or (verdict is Verdict.MORE and size - at <= _MOST_HELD):
                break
            at = self.held.find(b"\0", at + 1)  # the first byte of every length here
            if at < 0:
                at = size
        passed = bytes(self.held[:at])
        del self.held[:at]
        self.offset += at
        return passed, verdict is Verdict.YES
