"""How sure it is that bytes are frames of WebSocket, where no handshake and no frame before them says so.

What speaks for it is counted in bits: the logarithm of how seldom other bytes look like this.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.parse.protocol import Verdict
from pellucid.parse.websocket.frames import (
    BINARY,
    CONTINUATION,
    MAX_HEAD,
    TEXT,
    Frame,
    FrameError,
    read_frame,
    unmask,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_PROOF = 12
"""Bytes of a text that proves itself to be one: other bytes would look like it once in 100,000 times."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def judge(data: bytes, enough: int, *, masked: bool) -> Verdict:
    """Say whether `data` begins with frames of one side: beyond doubt, or perhaps with more bytes."""
    known = enough < STRONG
    found = 0
    seen: set[bytes] = set()
    fragmented = None if known else False
    try:
        for frame, payload in _whole_frames(data, masked=masked):
            if not frame.control:
                _check_order(frame, fragmented)
                fragmented = not frame.final
            weight = _weight(frame, payload, known=known)
            # What repeats itself may be a run of zeros behind a mask; every frame of a client has a mask of its own.
            itself = frame.key or payload
            found += 0 if itself in seen else weight
            seen.add(itself)
    except FrameError:
        if found < enough:
            return Verdict.NO
    return Verdict.YES if found >= enough else Verdict.MORE


def unproven(data: bytes) -> int:
    """Return the size of the first of such frames where only the frames behind it are sure.

    Data that ends where a frame begins looks like a frame itself once in some thousand times.
    """
    frame = read_frame(data)
    assert frame is not None
    end = frame.head + frame.size
    payload = unmask(data[frame.head : end], frame.key)
    return 0 if len(payload) >= _PROOF and _is_text(frame, payload) else end


def judge_either(data: bytes) -> Verdict:
    """Say the same of a side that may be the client's or the server's."""
    masked = is_masked(data)
    return Verdict.MORE if masked is None else judge(data, STRONG, masked=masked)


def is_masked(data: bytes) -> bool | None:
    """Whether the first frame is masked, as those of clients are; None where there are too few bytes."""
    return bool(data[1] & 0x80) if len(data) > 1 else None


def _whole_frames(data: bytes, *, masked: bool) -> Iterator[tuple[Frame, bytes]]:
    """Split `data` into the frames that are all there, and their payloads."""
    at = 0
    while at < len(data):
        frame = read_frame(data[at : at + MAX_HEAD])
        if frame and bool(frame.key) is not masked:
            raise FrameError("a mask where none must be, or none where one must be (section 5.1)")
        if frame and not frame.minimal:
            raise FrameError("a length in more bytes than it needs")
        if frame is None or len(data) - at < frame.head + frame.size:
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
        most = _MASKED_TEXT if frame.key else _PLAIN_TEXT
        return _FRAME + min(len(payload), most) if _is_text(frame, payload) else 0
    if frame.opcode == BINARY and not (frame.key or known):
        return 0  # a SUBSCRIBE of MQTT is just like it
    return _FRAME


def _is_text(frame: Frame, payload: bytes) -> bool:
    """Whether it is a text as people write them. Raises `FrameError` where it should be one and is none."""
    if frame.opcode != TEXT or frame.compressed:
        return False
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise FrameError("a text that is not UTF-8") from error
    return not _CONTROLS.search(text)
