"""Envelopes become typed records and contexts: `Decode` is the whole stage."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from pellucid import model
from pellucid.decode.btf import Btf
from pellucid.decode.layout import decoders
from pellucid.errors import FormatError
from pellucid.model import (
    Clock,
    Context,
    Drops,
    End,
    Envelope,
    Interface,
    Interfaces,
    Kind,
    Logins,
    Offsets,
    Record,
    Target,
    Users,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.decode.layout import Decoder

__all__ = ["Decode"]

_RECORD = Kind.RECORD
"""A plain global: looking a member up in its enum costs as much as unpacking a record's tag."""

_tag = struct.Struct("<I").unpack_from
_context: msgspec.json.Decoder[
    Clock | Target | Users | Logins | Drops | Offsets | Interface | Interfaces | End
] = msgspec.json.Decoder(Clock | Target | Users | Logins | Drops | Offsets | Interface | Interfaces | End)


class Decode:
    """Bytes to values, envelope by envelope.

    `records` are NamedTuple classes as in `pellucid.model`; each is read from the objects that have its struct.
    """

    def __init__(self, records: Sequence[type] = model.RECORDS) -> None:
        self._records = records
        self._objects: dict[int, dict[int, Decoder]] = {}

    def decode(self, envelope: Envelope) -> Sequence[Record | Context]:
        """The record or context that the envelope holds; nothing for objects and the end.

        Raises `FormatError` for types that do not match the record classes, records that no object
        announced or that are too short, and context that is not one of ours.
        """
        kind, object, payload = envelope
        if kind != _RECORD:
            return self._rare(envelope)
        try:
            decoder = self._objects[object][_tag(payload)[0]]
        except (KeyError, struct.error):
            raise self._unknown(envelope) from None
        return (decoder(payload),)

    def _rare(self, envelope: Envelope) -> Sequence[Context]:
        match envelope.kind:
            case Kind.OBJECT:
                self._objects[envelope.object] = decoders(Btf(bytes(envelope.payload)), self._records)
                return ()
            case Kind.CONTEXT:
                return (_read_context(envelope.payload),)
            case Kind.END:
                return ()
        raise FormatError(f"envelope kind {envelope.kind} is newer than this version of Pellucid")

    def _unknown(self, envelope: Envelope) -> FormatError:
        """Why no decoder was found."""
        who = f"a record of BPF object {envelope.object}"
        if envelope.object not in self._objects:
            return FormatError(f"{who} comes before the object's types")
        if len(envelope.payload) < 4:
            return FormatError(f"{who} has {len(envelope.payload)} bytes, too few for a type tag")
        return FormatError(f"{who} has type tag {_tag(envelope.payload)[0]}, which is no record known here")


def _read_context(payload: bytes | memoryview) -> Context:
    try:
        return _context.decode(payload)
    # Besides its own errors (ValueError) msgspec lets UnicodeDecodeError and RecursionError through.
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a context envelope is not one of ours: {error}") from error
