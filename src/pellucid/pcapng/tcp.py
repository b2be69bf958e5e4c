"""TCP segments in IP packets (RFC 9293 section 3.1, RFC 791 section 3.1, RFC 8200 section 3), right in every field."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

MOST_PAYLOAD = 0xFFFF - 20 - 20
"""Bytes that one segment may carry: IPv4 counts both headers into its 16 bits of length."""

WINDOW_SCALE = 14
"""The largest there is (RFC 7323 section 2.3): with it a window holds a gigabyte, so that none looks full."""

_TCP = struct.Struct(">HHIIBBHHH")
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBB16s16s")
_PROTOCOL = 6
_HOPS = 64
_SYN_OPTIONS = struct.pack(">BBHBBBB", 2, 4, MOST_PAYLOAD, 3, 3, WINDOW_SCALE, 1)
"""Maximum segment size, window scale, and a filler."""


class Flags(enum.IntFlag):
    """What a segment is (RFC 9293 section 3.1)."""

    FIN = 0x01
    SYN = 0x02
    PSH = 0x08
    ACK = 0x10


class End(NamedTuple):
    """One end of a connection."""

    address: IPv4Address | IPv6Address
    port: int


class Segment(NamedTuple):
    """What one end sends; both numbers wrap at 32 bits."""

    sequence: int
    acknowledged: int
    flags: Flags
    payload: bytes = b""


def packet(source: End, destination: End, segment: Segment) -> bytes:
    """An IP packet with the segment; both ends have addresses of the same version."""
    options = _SYN_OPTIONS if segment.flags & Flags.SYN else b""
    length = _TCP.size + len(options)

    def header(checksum: int) -> bytes:
        return _TCP.pack(
            source.port,
            destination.port,
            segment.sequence & 0xFFFFFFFF,
            segment.acknowledged & 0xFFFFFFFF,
            length << 2,
            segment.flags,
            0xFFFF,
            checksum,
            0,
        )

    size = length + len(segment.payload)
    pseudo = source.address.packed + destination.address.packed + struct.pack(">II", size, _PROTOCOL)
    checksum = _checksum(b"".join((pseudo, header(0), options, segment.payload)))
    return b"".join((_ip(source, destination, size), header(checksum), options, segment.payload))


def _ip(source: End, destination: End, size: int) -> bytes:
    addresses = source.address.packed, destination.address.packed
    if source.address.version == 6:
        return _IPV6.pack(6 << 28, size, _PROTOCOL, _HOPS, *addresses)

    def header(checksum: int) -> bytes:
        return _IPV4.pack(0x45, 0, _IPV4.size + size, 0, 0, _HOPS, _PROTOCOL, checksum, *addresses)

    return header(_checksum(header(0)))


def _checksum(data: bytes) -> int:
    """RFC 1071: the complement of the sum of 16-bit words, carries added again.

    Such a sum is the rest of dividing by 0xFFFF, since 0x10000 leaves 1; and one division of a long number is
    a hundred times faster here than adding up its words.
    """
    padded = data + b"\0" if len(data) % 2 else data
    return 0xFFFF - int.from_bytes(padded, "big") % 0xFFFF
