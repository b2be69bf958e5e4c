"""How envelopes lie in memory and in a recording: one after the other, each with a header of 8 bytes.

    u32 size of the payload · u16 kind (model.Kind) · u16 BPF object          all little endian

libbpf/drain.c writes RECORD envelopes in this form, so that a batch can go to a file as it is.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pellucid.errors import FormatError
from pellucid.model import Context, Envelope, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<IHH")
_KINDS = {kind.value: kind for kind in Kind}
_envelope = partial(tuple.__new__, Envelope)
"""`Envelope._make` without its check: this is done for every record."""

_to_json = msgspec.json.Encoder()


def pack(kind: Kind, payload: bytes = b"", object_id: int = 0) -> bytes:
    """One envelope as bytes."""
    return HEADER.pack(len(payload), kind, object_id) + payload


def pack_context(context: Context) -> bytes:
    """A CONTEXT envelope."""
    return pack(Kind.CONTEXT, _to_json.encode(context))


def split(batch: bytes | memoryview) -> Iterator[Envelope]:
    """The envelopes of a batch; their payloads are views of it. FormatError if it does not end with one."""
    view, at, end = memoryview(batch), 0, len(batch)
    header, unpack = HEADER.size, HEADER.unpack_from
    while at + header <= end:
        size, kind, object_id = unpack(view, at)
        start = at + header
        at = start + size
        if kind not in _KINDS or at > end:
            raise FormatError(f"damaged envelope of kind {kind} with {size} bytes, {end - start} left")
        yield _envelope((_KINDS[kind], object_id, view[start:at]))
    if at != end:
        raise FormatError(f"{end - at} bytes after the last whole envelope")
