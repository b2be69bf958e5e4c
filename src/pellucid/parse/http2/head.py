"""Header sections of HTTP/2 (RFC 9113 section 8.3): what a decoded header block says."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pellucid.parse.budget import CHARACTER_COST, FIELD_COST, HEAD_COST

if TYPE_CHECKING:
    from pellucid.model import Headers
    from pellucid.parse.http2.hpack import Block

_INTERIM = range(100, 200)


class Head:
    """The fields of one half of an exchange."""

    __slots__ = ("codings", "fields", "media", "partial", "problem", "pseudo", "status")

    def __init__(self, block: Block, most: int) -> None:
        """Sort the fields of `block`, of which at most `most` characters are kept."""
        fields = block.fields
        self.partial = block.missing > 0
        """Some of its fields are not known."""
        self.problem: str | None = None
        if block.most > most:
            fields = _first(fields, most)
        if len(fields) < len(block.fields):
            self.problem = (
                f"only {len(fields)} of its {len(block.fields)} header fields are kept: they are too long"
            )
        self.pseudo: dict[str, str] = {}
        self.fields: Headers = []
        self.codings: str | None = None
        """Content-Encoding, all its lines joined."""
        self.media = ""
        """Content-Type."""
        for field in fields:
            name = field[0]
            if name[:1] == ":":
                self.pseudo[name] = field[1]
                continue
            self.fields.append(field)
            if name == "content-type":
                self.media = field[1]
            elif name == "content-encoding":
                self.codings = field[1] if self.codings is None else f"{self.codings}, {field[1]}"
        status = self.pseudo.get(":status")
        self.status = int(status) if status and len(status) == 3 and status.isdecimal() else 0
        """Of a response; 0 where it is not known."""

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes at most: tables share the text of fields."""
        text = sum(map(len, chain.from_iterable(self.fields))) + sum(map(len, self.pseudo.values()))
        return HEAD_COST + FIELD_COST * (len(self.fields) + len(self.pseudo)) + CHARACTER_COST * text

    @property
    def interim(self) -> bool:
        """It is a response that another one follows (RFC 9110 section 15.2)."""
        return self.status in _INTERIM

    @property
    def method(self) -> str:
        """Of a request; empty where it is not known."""
        return self.pseudo.get(":method", "")

    @property
    def url(self) -> str:
        """Of a request: the path, or whom a CONNECT is for (section 8.5); empty where that is not known."""
        path = self.pseudo.get(":path")
        if path is None:
            return (self.authority or "") if self.method == "CONNECT" else ""
        return path

    @property
    def authority(self) -> str | None:
        """Of a request (section 8.3.1): that of an HTTP/1.1 request may be in Host only."""
        authority = self.pseudo.get(":authority")
        if authority is None:
            return next((value for name, value in self.fields if name == "host"), None)
        return authority


def _first(fields: Headers, most: int) -> Headers:
    """As many fields from the first one on as have at most so many characters."""
    kept = 0
    for number, (name, value) in enumerate(fields):
        kept += len(name) + len(value)
        if kept > most:
            return fields[:number]
    return fields
