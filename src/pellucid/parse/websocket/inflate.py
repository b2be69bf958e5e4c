"""permessage-deflate (RFC 7692): what was agreed on, and one direction's messages decompressed.

A sender that keeps its context refers to earlier messages, up to 32 KiB back. A receiver that begins with nothing reads
messages that refer to nothing before them, and zlib refuses each reference that goes further back than what it
has seen. So what comes out is right in any case, also after a loss: the context is then given up, and messages
fail until one stands for itself.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from pellucid.parse.bodies.expansion import Expansion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Headers

_EXTENSION = "permessage-deflate"

_RAW = -zlib.MAX_WBITS
"""The largest window understands every smaller one, whatever was agreed on."""

_TAIL = b"\x00\x00\xff\xff"
"""What the sender left out at the end of each message (section 7.2.1)."""

_STEP = 64 * 1024
"""Bytes decompressed at once."""

_INPUT = 4096
"""Bytes that zlib is given at once: it copies what follows a last block, and an empty one has two bytes."""

_CONTEXT_COST = 40 * 1024
"""Bytes that zlib takes to decompress: a window of 32 KiB, and tables of 7 (zconf.h)."""


class InflateError(ValueError):
    """A message cannot be decompressed; the words say why."""


class Deflate(NamedTuple):
    """What the handshake says of compression."""

    agreed: bool | None
    """None where the handshake was not seen."""
    client_keeps: bool = True
    """The client's messages may refer to those before them."""
    server_keeps: bool = True


def agreed(response: Headers) -> Deflate | None:
    """Read the Sec-WebSocket-Extensions of the response; None where there is another extension than this one."""
    values = [value for name, value in response if name.lower() == "sec-websocket-extensions"]
    extensions = [extension for extension in ",".join(values).split(",") if extension.strip()]
    if not extensions:
        return Deflate(agreed=False)
    name, *parameters = [part.strip().lower() for part in extensions[0].split(";")]
    if len(extensions) > 1 or name != _EXTENSION:
        return None
    return Deflate(
        agreed=True,
        client_keeps="client_no_context_takeover" not in parameters,
        server_keeps="server_no_context_takeover" not in parameters,
    )


class Inflate:
    """Decompresses the messages of one direction, one after the other."""

    __slots__ = ("_context", "_expansion", "_keeps", "_missing", "_open")

    def __init__(self, *, keeps: bool, missing: str | None = None) -> None:
        """`keeps`: a message may refer to those before it, of which some are `missing`, for the reason given."""
        self._keeps = keeps
        self._missing = missing
        self._context: zlib._Decompress | None = None
        self._open = False
        """Something of this message has come that the tail belongs to."""
        self._expansion = Expansion()
        """Of all messages: one that becomes too much is given up, and so are those that refer to it."""

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return _CONTEXT_COST if self._context else 0

    def add(self, data: bytes) -> Iterator[bytes]:
        """Decompress the next bytes of a message, in pieces. Raises `InflateError`: then it must `forget`."""
        self._expansion.came += len(data)
        for at in range(0, len(data), _INPUT):
            yield from self._blocks(data[at : at + _INPUT])

    def _blocks(self, data: bytes) -> Iterator[bytes]:
        while data:
            context = self._context = self._context or zlib.decompressobj(_RAW)
            self._open = True
            try:
                yield self._counted(context.decompress(data, _STEP))
                while not context.unconsumed_tail and (piece := context.decompress(b"", _STEP)):
                    yield self._counted(piece)
            except zlib.error as error:
                raise InflateError(self._missing or "not as it was agreed on") from error
            data = context.unconsumed_tail
            if context.eof:  # a block says that it is the last, and others may follow it (section 7.2.3.4)
                data = context.unused_data
                self._drop("a block said that it was the last")

    def end(self) -> Iterator[bytes]:
        """Decompress the end of a message. Raises `InflateError`."""
        if self._open:
            yield from self.add(_TAIL)
        self._open = False
        if not self._keeps:
            self._context = None

    def forget(self, why: str | None = None) -> None:
        """Give up what there was: the next message begins with nothing."""
        self._drop(why or self._missing or "what it refers to could not be read")

    def _drop(self, why: str) -> None:
        self._context = None
        self._open = False
        if self._keeps:
            self._missing = why

    def _counted(self, piece: bytes) -> bytes:
        self._expansion.made += len(piece)
        if self._expansion.excessive:
            raise InflateError("it becomes too much")
        return piece
