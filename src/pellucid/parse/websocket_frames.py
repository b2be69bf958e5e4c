"""Frames of WebSocket (RFC 6455 section 5.2), and how sure it is that bytes are such frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pellucid.parse.protocol import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# --- evidence ----------------------------------------------------------------------------------------

STRONG = 32
"""Bits that must speak for WebSocket where nothing else is known of a connection."""

ENOUGH = 24
"""Bits that must speak for the beginning of a frame where it is known that there are frames: then binary ones
count as well."""

_FRAME = 6
"""Bits of a head: of 256 first bytes seven are those of whole frames, and the mask bit is as it must be."""

_MASKED_TEXT = 26
"""Bits at most of a text that only unmasking reveals, one for each byte."""

_PLAIN_TEXT = 8
"""The same of a text that is one as it stands: many protocols have those."""

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def judge(data: bytes, enough: int, *, masked: bool) -> Verdict:
    """Say whether `data` is a sequence of whole frames of one side, beyond doubt or with more bytes."""
    known = enough < STRONG
    found = 0
    fragmented = None if known else False
    try:
        for frame, payload in _whole_frames(data, masked=masked):
            if frame is None:
                return Verdict.MORE
            if not frame.control:
                _check_order(frame, fragmented)
                fragmented = not frame.final
            found += _weight(frame, payload, known=known)
    except FrameError:
        return Verdict.NO
    return Verdict.YES if found >= enough else Verdict.MORE


def judge_either(data: bytes) -> Verdict:
    """Say the same of a side that may be the client's or the server's."""
    masked = is_masked(data)
    return Verdict.MORE if masked is None else judge(data, STRONG, masked=masked)


def is_masked(data: bytes) -> bool | None:
    """Whether the first frame is masked, as those of clients are; None where there are too few bytes."""
    return bool(data[1] & 0x80) if len(data) > 1 else None


def _whole_frames(data: bytes, *, masked: bool) -> Iterator[tuple[Frame | None, bytes]]:
    """Split `data`; the last frame is None where it is not all there."""
    at = 0
    while at < len(data):
        frame = read_frame(data[at : at + MAX_HEAD])
        if frame and bool(frame.key) is not masked:
            raise FrameError("a mask where none must be, or none where one must be (section 5.1)")
        if (
            frame
            and frame.head - 4 * masked > 2
            and frame.size <= (0xFFFF if frame.head > 8 else _MAX_CONTROL)
        ):
            raise FrameError("a length in more bytes than it needs")
        if frame is None or len(data) - at < frame.head + frame.size:
            yield None, b""
            return
        begin = at + frame.head
        at = begin + frame.size
        yield frame, unmask(data[begin:at], frame.key)


def _check_order(frame: Frame, fragmented: bool | None) -> None:
    """A fragment follows one that is not the last; `fragmented` is None where nobody knows what came before."""
    if fragmented is not None and (frame.opcode == CONTINUATION) is not fragmented:
        raise FrameError("fragments out of order")


def _weight(frame: Frame, payload: bytes, *, known: bool) -> int:
    """Bits that a frame speaks for WebSocket. Raises `FrameError` where it speaks against it."""
    if not frame.final or frame.opcode == CONTINUATION:
        return 0  # a zero byte, or a one, begins too much else
    if frame.opcode == TEXT and not frame.compressed:
        try:
            text = payload.decode()
        except UnicodeDecodeError as error:
            raise FrameError("a text that is not UTF-8") from error
        if _NO_TEXT.search(text):
            return 0
        return _FRAME + min(len(payload), _MASKED_TEXT if frame.key else _PLAIN_TEXT)
    if frame.opcode == BINARY and not (frame.key or known):
        return 0  # a SUBSCRIBE of MQTT is just like it
    return _FRAME
