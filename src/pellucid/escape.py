"""Text of strangers, captured or in names, must never drive the terminal it is shown on, nor pose as Pellucid's."""

from __future__ import annotations

import re

_HARMFUL = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""DEL and C1 controls (ECMA-48) command the terminal; the bidirectional controls (Unicode UAX 9) reorder
what is read; U+2028 and U+2029 break lines in pagers; lone surrogates cannot be encoded."""

_IN_LINE = re.compile(f"[\x00-\x1f{_HARMFUL}]")
_IN_BODY = re.compile(f"[\x00-\x08\x0b-\x1f{_HARMFUL}]")
"""The same without TAB and LF."""

_PIECE = 16 * 1024
"""Characters of a body that are escaped at once: each one that is takes 80 bytes until all are joined."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    r"""Make one line of printable text: `\n`, `\x1b`, `\u202e` stand for the characters themselves.

    A backslash stays as it is: this is for reading, and JSON output is there for exactness.
    """
    # str.isprintable is several times faster than a search, and true for nearly every text.
    return text if text.isprintable() else _IN_LINE.sub(_visible, text)


def escape_body(text: str) -> str:
    """Escape like `escape`, but keep tabs and line ends; CRLF becomes LF."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
    return "".join(_IN_BODY.sub(_visible, piece) for piece in pieces)


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _NAMED.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
