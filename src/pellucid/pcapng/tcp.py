"""TCP segments in IP packets (RFC 9293 section 3.1, RFC 791 section 3.1, RFC 8200 section 3), right in every field."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

MOST_PAYLOAD = 0xFFFF - 20 - 20
"""Bytes that one segment may carry: IPv4 counts both headers into its 16 bits of length."""

WINDOW_SCALE = 14
"""The largest there is (RFC 7323 section 2.3): with it a window holds a gigabyte, so that none looks full."""

_TCP = struct.Struct(">HHIIHHHH")
_IPV4 = struct.Struct(">BBHHHBBH8s")
_IPV6 = struct.Struct(">IHBB32s")
_PROTOCOL = 6
_HOPS = 64
_WINDOW = 0xFFFF
_SYN_OPTIONS = struct.pack(">BBHBBBB", 2, 4, MOST_PAYLOAD, 3, 3, WINDOW_SCALE, 1)
"""Maximum segment size, window scale, and a filler."""


FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
"""What a segment is (RFC 9293 section 3.1). No enum: its operators would be a fifth of what a packet costs."""


class End(NamedTuple):
    """One end of a connection."""

    address: IPv4Address | IPv6Address
    port: int


class Segment(NamedTuple):
    """What one end sends; both numbers wrap at 32 bits."""

    sequence: int
    acknowledged: int
    flags: int
    payload: bytes = b""


class Way:
    """From one end to the other; both have addresses of the same version."""

    def __init__(self, source: End, destination: End) -> None:
        self._is_ipv6 = source.address.version == 6
        self._ports = source.port, destination.port
        self._addresses = source.address.packed + destination.address.packed
        self._fixed = int.from_bytes(self._addresses, "big") + sum(self._ports) + _PROTOCOL + _WINDOW
        """The part of the sum for the checksum that all packets have."""

    def packet(self, segment: Segment) -> bytes:
        """An IP packet with the segment."""
        payload = segment.payload
        options = _SYN_OPTIONS if segment.flags & SYN else b""
        length = _TCP.size + len(options)
        size = length + len(payload)
        numbers = segment.sequence & 0xFFFFFFFF, segment.acknowledged & 0xFFFFFFFF
        control = length << 10 | segment.flags  # the length is in words, and above the flags
        checksum = _complement(self._fixed + sum(numbers) + control + size + _sum(options) + _sum(payload))
        header = _TCP.pack(*self._ports, *numbers, control, _WINDOW, checksum, 0)
        return b"".join((self._ip(size), header, options, payload))

    def _ip(self, size: int) -> bytes:
        if self._is_ipv6:
            return _IPV6.pack(6 << 28, size, _PROTOCOL, _HOPS, self._addresses)
        whole = _IPV4.size + size
        fixed = 0x4500 + (_HOPS << 8 | _PROTOCOL) + int.from_bytes(self._addresses, "big")
        checksum = _complement(fixed + whole)
        return _IPV4.pack(0x45, 0, whole, 0, 0, _HOPS, _PROTOCOL, checksum, self._addresses)


def _complement(total: int) -> int:
    """What RFC 1071 makes of a sum of 16-bit words: carries are added again, and all bits are inverted.

    That is the rest of dividing by 0xFFFF, since 0x10000 leaves 1. So longer numbers may be summands as well, and
    one division of a long number is a hundred times faster here than adding up its words.
    """
    return 0xFFFF - total % 0xFFFF


def _sum(data: bytes) -> int:
    """Something that leaves the same rest as the sum of its 16-bit words, the last of them padded."""
    return int.from_bytes(data, "big") << 8 * (len(data) % 2)
