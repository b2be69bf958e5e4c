"""What RST_STREAM, GOAWAY and PUSH_PROMISE say (RFC 9113 sections 6.4, 6.8, 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pellucid.parse.http2.frames import Frame

_ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
"""By their codes (section 7)."""

_STREAM = 0x7FFFFFFF


def promised(frame: Frame) -> int:
    """The stream that a PUSH_PROMISE frame announces."""
    return _number(frame.payload[:4]) & _STREAM


def reset_reason(who: str, frame: Frame) -> str:
    """Say in words that `who` has reset a stream."""
    return f"the {who} reset the stream ({_error(frame.payload[:4])})"


def goes_away(who: str, frame: Frame) -> tuple[int, str]:
    """The last stream of the other end that `who` may have looked at, and why the later ones end, in words."""
    last = _number(frame.payload[:4]) & _STREAM
    return last, f"the {who} refused it (GOAWAY, {_error(frame.payload[4:8])})"


def _error(code: bytes) -> str:
    number = _number(code)
    return _ERRORS[number] if number < len(_ERRORS) else f"error {number:#x}"


def _number(data: bytes) -> int:
    return int.from_bytes(data)
