"""Start lines and heads of HTTP/1 (RFC 9112 sections 2 to 4).

llhttp refuses methods that it does not know, though anybody may add one (RFC 9110 section 9.1), and it
does not say where a head ends, which must be known for HEAD, for upgrades and for gaps. So the start line is read
here, and the head is cut off here.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pellucid.parse.budget import FIELD_COST, HEAD_COST, text_cost
from pellucid.parse.http1.fields import Fields, HeadError, read_fields
from pellucid.parse.protocol import Verdict
from pellucid.parse.text import field_text

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

_REMEMBERED = 256
"""Start lines of each kind: what is polled is asked for in the same words. At most 8 KiB each as `max_sniff` has it."""

HEAD_END = re.compile(rb"\n\r?\n")
"""A bare LF is a line end too (RFC 9112 section 2.2)."""


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


class Head:
    """The head of a request or a response."""

    __slots__ = ("cost", "fields", "version")

    def __init__(self, version: str, fields: Fields, head: bytes) -> None:
        self.version = version
        self.fields = fields
        self.cost = HEAD_COST + text_cost(head) + FIELD_COST * len(fields.fields)
        """Bytes of memory that the head and what comes with it take."""

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
        end = head.find(b"\n") + 1
        self.method, self.url, version = _request_line(head[:end])
        super().__init__(version, read_fields(head[end:]), head)

    @property
    def authority(self) -> str | None:
        """The host that the target names, else the Host header: a proxy goes by the first."""
        if self.url.startswith("/"):
            return self.fields.authority
        if self.method == "CONNECT":
            return self.url
        _, scheme_end, rest = self.url.partition("://")
        if scheme_end:
            return re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        return self.fields.authority


class ResponseHead(Head):
    """Status and reason as sent."""

    __slots__ = ("reason", "status")

    def __init__(self, head: bytes) -> None:
        """Read a head with its empty line. Raises `HeadError`."""
        end = head.find(b"\n") + 1
        self.status, self.reason, version = _status_line(head[:end])
        super().__init__(version, read_fields(head[end:]), head)


@lru_cache(maxsize=_REMEMBERED)
def _request_line(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version. Raises `HeadError`."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise HeadError("no request line")
    method, target, version = found.groups()
    return method.decode(), field_text(target), version.decode()


@lru_cache(maxsize=_REMEMBERED)
def _status_line(line: bytes) -> tuple[int, str, str]:
    """Return status, reason and version. Raises `HeadError`."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise HeadError("no status line")
    version, status, reason = found.groups()
    return int(status), field_text(reason or b""), version.decode()
