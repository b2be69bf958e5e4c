"""Header and trailer fields of HTTP/1 (RFC 9112 section 5).

Programs send the same again and again: their own name, what they accept, the date of this second. So blocks and lines
are read once and remembered. Whatever is not plain (folded lines, bare line feeds, control characters, two lengths) is
left to llhttp, which is told to be lenient: what both ends have understood should be shown, not judged.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import httptools

from pellucid.parse.text import field_text

if TYPE_CHECKING:
    from pellucid.model import Headers

_REMEMBERED_BLOCKS = 256
"""A client that keeps its connection sends the same fields with each request, a server the same for each second."""

_MAX_BLOCK = 1024
"""Bytes of a block that is remembered; 1 MiB of memory in all."""

_REMEMBERED_LINES = 2048
"""Those that all connections of one program share, 1 MiB of memory."""

_MAX_LINE = 256
"""Bytes of a line that is remembered; longer ones are cookies and tokens, which differ."""

_PLAIN = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_USUAL = {"content-length": re.compile("[0-9]{1,18}"), "transfer-encoding": re.compile("(?i)chunked")}
"""How these two, which frame the body, usually look."""

_EMPTY = b"\r\n"

_UNDERSTOOD = frozenset({"host", "content-encoding", "content-type", *_USUAL})


class HeadError(ValueError):
    """The bytes are not the head of a message of HTTP/1."""


class _Line(NamedTuple):
    """A field line."""

    field: tuple[str, str]
    """As sent."""
    meaning: str | None
    """Its name in lower case, where framing or display needs the field."""


class Fields:
    """A block of header or trailer fields; shared by all messages that have the same, so never changed."""

    __slots__ = ("authority", "codings", "fields", "length", "media", "transfer")

    def __init__(self, block: bytes) -> None:
        """Read `block`: field lines and the empty line after them. Raises `HeadError`."""
        self.authority: str | None = None
        self.codings: str | None = None
        """Content-Encoding, all its lines joined."""
        self.length: int | None = None
        self.media: str | None = None
        """Content-Type, the first one."""
        self.transfer: str | None = None
        """Transfer-Encoding, lower case, all its lines joined."""
        lines = _plain(block)
        if lines is None:
            lines = _by_llhttp(block)
        self.fields: Headers = [field for field, _ in lines]
        for field, meaning in lines:
            if meaning:
                self._understand(meaning, field[1])

    def _understand(self, name: str, text: str) -> None:
        """Take from a field what framing and display need."""
        match name:
            case "content-length":
                self.length = int(text.lstrip("0") or "0")
            case "host" if self.authority is None:
                self.authority = text
            case "content-type" if self.media is None:
                self.media = text
            case "content-encoding":
                self.codings = _joined(self.codings, text)
            case "transfer-encoding":
                self.transfer = _joined(self.transfer, text.lower())


def _joined(before: str | None, line: str) -> str:
    """Join field lines of one name to one list (RFC 9110 section 5.3)."""
    return line if before is None else f"{before}, {line}"


def _line(name: bytes, value: bytes) -> _Line:
    shown = name.decode("ascii")
    lower = shown.lower()
    return _Line((shown, field_text(value.rstrip(b" \t"))), lower if lower in _UNDERSTOOD else None)


def read_fields(block: bytes) -> Fields:
    """Read field lines and the empty line after them. Raises `HeadError`."""
    return _recall_block(block) if len(block) <= _MAX_BLOCK else Fields(block)


_recall_block = lru_cache(maxsize=_REMEMBERED_BLOCKS)(Fields)


# --- plain lines -----------------------------------------------------------------------------------


def _plain(block: bytes) -> list[_Line] | None:
    """Read a block of plain lines; None where one is not, or where they leave a doubt how long the body is."""
    texts = block.split(_EMPTY)
    if texts[-2:] != [b"", b""]:
        return None
    lines: list[_Line] = []
    for text in texts[:-2]:
        line = _recall_line(text) if len(text) <= _MAX_LINE else _read(text)
        if line is None:
            return None
        lines.append(line)
    framing = [meaning for _, meaning in lines if meaning in _USUAL]
    return lines if len(framing) < 2 else None


def _read(text: bytes) -> _Line | None:
    """Read a line without its end; None where it is not plain."""
    plain = _PLAIN.fullmatch(text)
    if not plain:
        return None
    line = _line(*plain.groups())
    if line.meaning in _USUAL and not _USUAL[line.meaning].fullmatch(line.field[1]):
        return None
    return line


_recall_line = lru_cache(maxsize=_REMEMBERED_LINES)(_read)


# --- all others ------------------------------------------------------------------------------------


class _Callbacks:
    """What llhttp tells."""

    def __init__(self) -> None:
        self.lines: list[_Line] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one field."""
        self.lines.append(_line(name, value))


def _by_llhttp(block: bytes) -> list[_Line]:
    """Read any block, behind a start line of our own. Raises `HeadError`."""
    callbacks = _Callbacks()
    parser = httptools.HttpRequestParser(callbacks)
    parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_chunked_length=True,
        lenient_transfer_encoding=True,
        lenient_optional_cr_before_lf=True,
    )
    try:
        parser.feed_data(b"GET / HTTP/1.1\r\n")
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        pass  # llhttp stops after a head that asks for an upgrade: nothing follows it here
    except httptools.HttpParserError as error:
        raise HeadError(str(error)) from error
    return callbacks.lines
