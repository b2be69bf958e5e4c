"""A message body: collected within a bound, and shown."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET, UnsetType

from pellucid.parse.bodies.codings import decode
from pellucid.parse.text import readable

if TYPE_CHECKING:
    from pellucid.model import Text
    from pellucid.parse.limits import Limits


class Shown(NamedTuple):
    """The fields that a request and a response have for their body."""

    body: Text = ""
    encoding: str | UnsetType = UNSET
    size: int = 0
    sha256: str | UnsetType = UNSET
    truncated: bool = False
    """Some of the body is not shown."""


class Body:
    """The bytes of one body as sent, framing removed: the first `max_body` kept, all counted.

    Hashing costs more than parsing, so it begins only when a byte is not kept.
    """

    __slots__ = ("_hash", "_hole", "_kept", "_limits", "_most", "lost", "shortened", "size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = limits.max_body
        self._kept: bytes | bytearray = b""
        self._hash: hashlib._Hash | None = None
        self._hole: int | None = None
        """How many kept bytes lie before the first missing one."""
        self.size = 0
        """Bytes sent, those that are missing included."""
        self.lost = 0
        self.shortened = False
        """Less than `max_body` is kept, for want of memory."""

    @property
    def kept(self) -> int:
        """Bytes of memory that the body takes."""
        return self._kept.__sizeof__()

    @property
    def sound(self) -> bool:
        """Nothing is missing but what `max_body` leaves out."""
        return not (self.lost or self.shortened)

    def shorten(self, most: int) -> None:
        """Keep no more than the first `most` bytes from here on."""
        self._most = min(self._most, most)
        if len(self._kept) > most:
            self._overflow(b"")
            self._kept = bytes(self._kept[:most])
            self.shortened = True

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        room = self._most - len(self._kept)
        if len(piece) > room:
            self._overflow(piece)
            self.shortened = self._most < self._limits.max_body
            piece = piece[:room]
        if not self._kept:
            self._kept = piece  # most bodies come in one piece: no copy
        elif piece:
            self._grow(piece)

    def lose(self, size: int) -> None:
        """Count bytes that are missing here. What follows them cannot be decoded, and nothing hashed."""
        if not size:
            return
        if self._hole is None:
            self._hole = len(self._kept)
        self._hash = None
        self.size += size
        self.lost += size

    def show(self, content_encoding: str | None, content_type: str | None = None) -> Shown:
        """Undo the codings as far as the limits and the bytes allow; where they do not, show what was sent.

        Text is in the charset that `content_type` declares, else in UTF-8; other bytes stay bytes.
        """
        kept = bytes(self._kept)
        whole = len(kept) == self.size
        if whole and not content_encoding:
            text, encoding = readable(kept, content_type=content_type)
            return Shown(text, encoding, self.size)
        data, cut = self._decoded(kept, content_encoding)
        truncated = cut or not whole
        text, encoding = readable(data, cut=truncated, content_type=content_type)
        return Shown(text, encoding, self.size, self._sha256(kept) if truncated else UNSET, truncated)

    def _decoded(self, kept: bytes, content_encoding: str | None) -> tuple[bytes, bool]:
        decoded = None
        if content_encoding and kept:
            decoded = decode(kept[: self._hole], content_encoding, self._limits.max_decoded)
        if decoded is None:
            return kept, False
        data, cut = decoded
        return data[: self._limits.max_body], cut or len(data) > self._limits.max_body

    def _sha256(self, kept: bytes) -> str | UnsetType:
        if self.lost:
            return UNSET
        return (self._hash or hashlib.sha256(kept)).hexdigest()

    def _grow(self, piece: bytes) -> None:
        if isinstance(self._kept, bytes):
            self._kept = bytearray(self._kept)
        self._kept += piece

    def _overflow(self, piece: bytes) -> None:
        if self.lost:
            return
        if self._hash is None:
            self._hash = hashlib.sha256(self._kept)
        self._hash.update(piece)
