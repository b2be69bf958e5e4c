"""Frames of HTTP/2 (RFC 9113 sections 4 and 6): bytes of one direction in, frames out.

A frame is held until it is whole, but for DATA: that may have 16 MiB, and is passed on in the pieces in which it
comes.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (section 3.4)."""

HEADER = Struct(">IBI")
"""Length (24 bits) and type (8) together, flags, and the stream with a reserved bit above it."""

_STREAM = 0x7FFFFFFF


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
NAMES = (
    "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
    "CONTINUATION",
)  # fmt: skip
"""Types of frames; every other number is ignored, as section 4.1 asks."""

END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
WITH_PRIORITY = 0x20

_PADDABLE = frozenset({DATA, HEADERS, PUSH_PROMISE})
_PRIORITY_SIZE = 5

_KNOWN = len(NAMES)


class Rule(NamedTuple):
    """What a frame of one type must be like."""

    stream: bool | None
    """It belongs to a stream, to none, or to either."""
    least: int
    """Bytes of its payload."""
    exactly: bool
    """No more than those."""
    flags: int
    """Those that it may have; others are ignored, and nobody sends them."""


RULES = (
    Rule(True, 0, False, END_STREAM | PADDED),
    Rule(True, 0, False, END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY),
    Rule(True, 5, True, 0),
    Rule(True, 4, True, 0),
    Rule(False, 0, False, ACK),
    Rule(True, 4, False, END_HEADERS | PADDED),
    Rule(False, 8, True, ACK),
    Rule(False, 8, False, 0),
    Rule(None, 4, True, 0),
    Rule(True, 0, False, END_HEADERS),
)
"""By type (sections 6.1 to 6.10)."""


class FrameError(ValueError):
    """The bytes are no frame that RFC 9113 allows."""


class Frame(NamedTuple):
    """A frame, or a piece of one that is passed on in pieces."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    """Without padding."""
    last: bool
    """Nothing more of it comes."""
    padding: int
    """Bytes taken after the payload."""


class Lost(NamedTuple):
    """So many bytes of the frame that is being passed on are missing."""

    kind: int
    flags: int
    stream: int
    size: int
    """Of them payload; the others were padding."""
    last: bool


class FrameReader:
    """Cuts one direction into frames; it begins at the beginning of one."""

    __slots__ = (
        "_flags",
        "_kind",
        "_left",
        "_limit",
        "_padding",
        "_stream",
        "_wanted",
        "held",
        "in_block",
        "passing",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        """Bytes of the payload of a frame that is held until it is whole."""
        self.held = bytearray()
        """The beginning of a frame."""
        self._wanted = 0
        """How many bytes of it tell more."""
        self.passing = False
        """In the middle of a frame that is passed on in pieces."""
        self.in_block = False
        """A header block has begun and not ended: only CONTINUATION may come (section 6.10)."""
        self._kind = self._flags = self._stream = 0
        self._left = 0
        """Bytes that its payload still has."""
        self._padding = 0
        """Bytes after those."""

    def next(self, data: bytes, at: int) -> tuple[Frame | None, int]:
        """Read from index `at` on; return a frame, or None when more is needed, and the index after it.

        A frame whose beginning was held is in `held` still: who has used it clears that. Raises `FrameError` where
        no frame is, and has taken nothing then.
        """
        if self.passing:
            return self._piece(data, at)
        if not self.held:
            return self._begin(data, at)
        missing = self._wanted - len(self.held)
        if len(data) - at < missing:
            self.held += data[at:]
            return None, len(data)
        before, self.held = self.held, bytearray()
        try:
            frame, _ = self._begin(bytes(before) + data[at : at + missing], 0)
        except FrameError:
            self.held = before
            raise
        if frame:
            self.held = before
        return frame, at + missing

    def gap(self, size: int) -> Lost | None:
        """Skip missing bytes where it is sure in which frame they are; None where they may hide a frame's beginning."""
        if not self.passing or size > self._left + self._padding:
            return None
        lost = min(size, self._left)
        self._left -= lost
        self._padding -= size - lost
        self.passing = self._left + self._padding > 0
        return Lost(self._kind, self._flags, self._stream, lost, not self.passing)

    def _begin(self, data: bytes, at: int) -> tuple[Frame | None, int]:
        start = at + HEADER.size
        if start > len(data):
            return self._hold(data, at, HEADER.size)
        word, flags, stream = HEADER.unpack_from(data, at)
        kind, length, stream = word & 0xFF, word >> 8, stream & _STREAM
        if kind < _KNOWN:
            _check(kind, length, stream)
        if self.in_block and kind != CONTINUATION:
            raise FrameError("a frame within a header block")
        end = start + length
        if end <= len(data):
            payload = data[start:end]
            padding = 0
            if flags & PADDED and kind in _PADDABLE:
                payload, padding = _unpadded(payload)
            return Frame(kind, flags, stream, payload, True, padding), end
        if kind != DATA:
            if length > self._limit:
                raise FrameError(f"a frame of {length} bytes is too long for its type")
            return self._hold(data, at, HEADER.size + length)
        padded = bool(flags & PADDED)
        if padded and start == len(data):
            return self._hold(data, at, HEADER.size + 1)
        self._padding = data[start] if padded else 0
        self._left = length - padded - self._padding
        if self._left < 0:
            raise FrameError("more padding than payload")
        self._kind, self._flags, self._stream = kind, flags, stream
        self.passing = True
        return None, start + padded

    def _hold(self, data: bytes, at: int, wanted: int) -> tuple[None, int]:
        self.held += data[at:]
        self._wanted = wanted
        return None, len(data)

    def _piece(self, data: bytes, at: int) -> tuple[Frame, int]:
        end = at + self._left
        piece = data[at:end]
        self._left -= len(piece)
        after = min(end + self._padding, len(data))
        padding = max(after - end, 0)
        self._padding -= padding
        self.passing = self._left + self._padding > 0
        return Frame(self._kind, self._flags, self._stream, piece, not self.passing, padding), after


def _check(kind: int, length: int, stream: int) -> None:
    on_stream, least, exactly, _ = RULES[kind]
    if (
        length < least
        or (exactly and length != least)
        or (on_stream is not None and on_stream != (stream > 0))
    ):
        raise FrameError(f"no {NAMES[kind]} frame has {length} bytes on stream {stream}")


def _unpadded(payload: bytes) -> tuple[bytes, int]:
    """Section 6.1: the first byte says how many at the end are padding; return the rest, and that."""
    if not payload or payload[0] >= len(payload):
        raise FrameError("more padding than payload")
    return payload[1 : len(payload) - payload[0]], payload[0]


def without_priority(frame: Frame) -> bytes:
    """The header block fragment of a HEADERS frame (section 6.2). Raises `FrameError`."""
    if not frame.flags & WITH_PRIORITY:
        return frame.payload
    if len(frame.payload) < _PRIORITY_SIZE:
        raise FrameError("a HEADERS frame ends within its priority")
    return frame.payload[_PRIORITY_SIZE:]
