"""JSON lines: each message is one object on one line, its fields in the order of `model`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from pellucid.sink.base import Sink

if TYPE_CHECKING:
    from pellucid.model import Message
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output

_ENCODER = msgspec.json.Encoder()

_CONTROL = re.compile(rb"\x7f|\xc2([\x80-\x9f])")
"""DEL, and U+0080 to U+009F in UTF-8: controls that RFC 8259 section 7 lets pass unescaped, but that a
terminal may obey (U+009B begins an escape sequence)."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_into(message: msgspec.Struct, line: bytearray) -> None:
    """Replace `line` by the message as one JSON object, printable UTF-8 without a newline."""
    try:
        _ENCODER.encode_into(message, line)
    except UnicodeEncodeError:
        line[:] = _without_surrogates(message)
    # Two memchr calls spare nearly every line the regular expression.
    if b"\xc2" in line or b"\x7f" in line:
        line[:] = _CONTROL.sub(_escape, line)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % (match[1] or match[0])[0]


def _without_surrogates(message: msgspec.Struct) -> bytes:
    """Encode text that is no Unicode (undecodable bytes of a process name, say) with U+FFFD in its place."""
    text = json.dumps(msgspec.to_builtins(message), ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub("\ufffd", text).encode()


class JsonSink(Sink):
    """For programs: whole and exact. `bytes` become base64, and the message's `encoding` says so."""

    format = "json"

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        # One bytearray for all lines: 1.9 us for a small exchange, against 2.4 us with a new bytes each.
        self._line = bytearray()

    def write(self, message: Message) -> None:
        """Append the message as one line."""
        line = self._line
        encode_into(message, line)
        line += b"\n"
        self._append(line)
