"""Start lines and header fields of HTTP/1 (RFC 9112 sections 2 to 5).

llhttp refuses methods that it does not know, though anybody may add one (RFC 9110 section 9.1), and it
does not say where a head ends, which must be known for HEAD, for upgrades and for gaps. So the start line is read
here, the head is cut off here, and llhttp reads the fields, behind a start line of its own.
It is told to be lenient: what both ends have understood should be shown, not judged.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import httptools

from pellucid.parse.budget import CHARACTER_COST, FIELD_COST, HEAD_COST
from pellucid.parse.protocol import Verdict
from pellucid.parse.text import field_text

if TYPE_CHECKING:
    from pellucid.model import Headers

_MAX_METHOD = 32
"""Bytes; the longest registered one is UPDATEREDIRECTREF."""

_METHOD = rb"[A-Z][A-Z0-9_-]{0,%d}" % (_MAX_METHOD - 1)
# origin-form, absolute-form, asterisk-form, authority-form (RFC 9112 section 3.2)
_TARGET = rb"(?:/[^\x00-\x20\x7f]*|[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x20\x7f]+|\*|[^\x00-\x20\x7f/]+:[0-9]+)"

_REQUEST_LINE = re.compile(rb"(%b) (%b) (HTTP/1\.[01])\r?\n" % (_METHOD, _TARGET))
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?\r?\n")
_REQUEST_BEGINS = re.compile(
    rb"%b(?: (?:[/*A-Za-z0-9\[][^\x00-\x20\x7f]*(?: [HTP/1.0]{0,8}\r?)?)?)?" % _METHOD
)
_STATUS_BEGINS = re.compile(rb"HTTP/1\.[01](?: [1-9]?[0-9]{0,2}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?)?\r?")
_VERSION = b"HTTP/1."

HEAD_END = re.compile(rb"\n\r?\n")
"""A bare LF is a line end too (RFC 9112 section 2.2)."""


_UNDERSTOOD = frozenset(
    {b"content-length", b"host", b"content-encoding", b"content-type", b"transfer-encoding"}
)


class HeadError(ValueError):
    """The bytes are not the head of a message of HTTP/1."""


def judge_request(head: bytes) -> Verdict:
    """Say whether `head` begins with a request line, or may with more bytes."""
    if b"\n" in head:
        return Verdict.YES if _REQUEST_LINE.match(head) else Verdict.NO
    return Verdict.MORE if _REQUEST_BEGINS.fullmatch(head) else Verdict.NO


def judge_response(head: bytes) -> Verdict:
    """Say whether `head` begins with a status line, or may with more bytes."""
    if b"\n" in head:
        return Verdict.YES if _STATUS_LINE.match(head) else Verdict.NO
    if len(head) <= len(_VERSION):
        return Verdict.MORE if _VERSION.startswith(head) else Verdict.NO
    return Verdict.MORE if _STATUS_BEGINS.fullmatch(head) else Verdict.NO


@lru_cache(maxsize=1024)
def _name(name: bytes) -> tuple[str, bytes]:
    """Return a field name as sent and in lower case; programs send the same few again and again."""
    return name.decode("ascii"), name.lower()


class Fields:
    """A block of header or trailer fields, as llhttp hands them over."""

    __slots__ = ("authority", "codings", "fields", "length", "transfer", "type")

    def __init__(self, block: bytes | memoryview) -> None:
        """Read `block`: field lines and the empty line after them. Raises `HeadError`."""
        self.fields: Headers = []
        self.authority: str | None = None
        self.codings: str | None = None
        """Content-Encoding, all its lines joined."""
        self.type: str | None = None
        """Content-Type, the last where there are several."""
        self.length: int | None = None
        self.transfer: str | None = None
        """Transfer-Encoding, lower case, all its lines joined."""
        parser = httptools.HttpRequestParser(self)
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

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one field; called by httptools."""
        shown, lower = _name(name)
        text = field_text(value.rstrip(b" \t"))
        self.fields.append((shown, text))
        if lower in _UNDERSTOOD:
            self._understand(lower, text)

    def _understand(self, name: bytes, text: str) -> None:
        """Take from a field what framing and display need."""
        match name:
            case b"content-length":
                self.length = int(text.lstrip("0") or "0")
            case b"host" if self.authority is None:
                self.authority = text
            case b"content-encoding":
                self.codings = _joined(self.codings, text)
            case b"content-type":
                self.type = text
            case b"transfer-encoding":
                self.transfer = _joined(self.transfer, text.lower())


def _joined(before: str | None, line: str) -> str:
    """Join field lines of one name to one list (RFC 9110 section 5.3)."""
    return line if before is None else f"{before}, {line}"


class Head:
    """The head of a request or a response."""

    __slots__ = ("_size", "fields", "version")

    def __init__(self, version: bytes, fields: Fields, size: int) -> None:
        self.version = version.decode()
        self.fields = fields
        self._size = size

    @property
    def cost(self) -> int:
        """Bytes of memory that the head and what comes with it take."""
        return HEAD_COST + CHARACTER_COST * self._size + FIELD_COST * len(self.fields.fields)

    @property
    def chunked(self) -> bool:
        """Chunked is the final transfer coding (RFC 9112 section 6.3)."""
        return self._transfer_codings[-1:] == ["chunked"]

    @property
    def codings(self) -> str | None:
        """All codings of the body in the order in which they were applied, framing left out."""
        if self.fields.transfer is None:
            return self.fields.codings
        transfer = [name for name in self._transfer_codings if name != "chunked"]
        return ", ".join([*filter(None, [self.fields.codings]), *transfer]) or None

    @property
    def _transfer_codings(self) -> list[str]:
        if self.fields.transfer is None:
            return []
        return [name.strip() for name in self.fields.transfer.split(",")]


class RequestHead(Head):
    """Method and target as sent; authority by RFC 9112 section 3.3."""

    __slots__ = ("method", "url")

    def __init__(self, head: bytes) -> None:
        """Read a head with its empty line. Raises `HeadError`."""
        line = _REQUEST_LINE.match(head)
        if line is None:
            raise HeadError("no request line")
        method, target, version = line.groups()
        super().__init__(version, Fields(memoryview(head)[line.end() :]), len(head))
        self.method = method.decode()
        self.url = field_text(target)

    @property
    def authority(self) -> str | None:
        """The host that the target names, else the Host header: a proxy goes by the first."""
        if self.method == "CONNECT":
            return self.url
        _, scheme_end, rest = self.url.partition("://")
        if scheme_end and not self.url.startswith("/"):
            return re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        return self.fields.authority


class ResponseHead(Head):
    """Status and reason as sent."""

    __slots__ = ("reason", "status")

    def __init__(self, head: bytes) -> None:
        """Read a head with its empty line. Raises `HeadError`."""
        line = _STATUS_LINE.match(head)
        if line is None:
            raise HeadError("no status line")
        version, status, reason = line.groups()
        super().__init__(version, Fields(memoryview(head)[line.end() :]), len(head))
        self.status = int(status)
        self.reason = field_text(reason or b"")
