"""The blocks of a pcapng file, as bytes. Sections are those of draft-ietf-opsawg-pcapng-03.

    type u32 · length u32 · body, padded to 4 bytes · length u32 once more            (section 3.1)

Numbers are little endian whatever the machine is: a section says of itself which they are.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from pellucid.pcapng.options import MOST_TEXT, Option, number, options, text, time

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 0x00000001
INTERFACE_STATISTICS = 0x00000005
ENHANCED_PACKET = 0x00000006
DECRYPTION_SECRETS = 0x0000000A

TLS_KEY_LOG = 0x544C534B
"""What the secrets of a block are (section 4.7): lines of an NSS key log."""

MOST_PACKET = 262_144
"""Bytes of a packet that readers must take: what libpcap and Wireshark call MAXIMUM_SNAPLEN."""

_EDGES = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_SECTION = struct.Struct("<IHHq")
_INTERFACE = struct.Struct("<HHI")
PACKET = struct.Struct("<IIIII")
"""The fixed part of an Enhanced Packet Block's body: interface, time (high and low half), captured and true length."""
_STATISTICS = struct.Struct("<III")
_SECRETS = struct.Struct("<II")

_MAGIC, _MAJOR, _MINOR, _UNKNOWN_LENGTH = 0x1A2B3C4D, 1, 0, -1
_WHOLE = 0
"""`SnapLen` (section 4.2): packets are kept as long as they were."""
_NANOSECONDS = 9
"""`if_tsresol`: times are in units of ten to the minus so much."""


class Interface(NamedTuple):
    """What packets were seen on (section 4.2)."""

    link_type: int
    """What a packet begins with: one of `linktypes`."""
    name: str
    description: str = ""
    filter: str = ""
    """The capture filter, in pcap's words."""
    os: str = ""
    """The operating system that it is an interface of."""


class Packet(NamedTuple):
    """One packet (section 4.3)."""

    interface: int
    """The place of its Interface Description among those of the section, from 0."""
    time: int
    """Nanoseconds since 1970, UTC."""
    data: bytes | bytearray | memoryview
    size: int | None = None
    """How long it was; None where `data` is all of it."""
    outbound: bool | None = None
    """Which way it went, where that is known."""
    comments: tuple[str, ...] = ()


class Statistics(NamedTuple):
    """How an interface did (section 4.6); None is not known."""

    interface: int
    time: int
    """When it was so, in nanoseconds since 1970, as the two following."""
    began: int | None = None
    ended: int | None = None
    received: int | None = None
    """Packets that went through the interface."""
    dropped: int | None = None
    """Packets that went through it and are missing in the file, for want of room."""
    accepted: int | None = None
    """Packets that the filter let pass."""
    comments: tuple[str, ...] = ()


def section_header(application: str, os: str = "") -> bytes:
    """The block that a section begins with (section 4.1); how long the section is does not stand there."""
    body = _SECTION.pack(_MAGIC, _MAJOR, _MINOR, _UNKNOWN_LENGTH)
    return _block(SECTION_HEADER, body + options(text(3, os), text(4, application)))


def interface_description(interface: Interface) -> bytes:
    """One interface (section 4.2); packets name it by its place among these blocks."""
    pcap_filter = b"\0" + text(11, interface.filter).value[: MOST_TEXT - 1] if interface.filter else b""
    return _block(
        INTERFACE_DESCRIPTION,
        _INTERFACE.pack(interface.link_type, 0, _WHOLE)
        + options(
            text(2, interface.name),
            text(3, interface.description),
            Option(9, bytes((_NANOSECONDS,))),
            Option(11, pcap_filter),
            text(12, interface.os),
        ),
    )


def enhanced_packet(packet: Packet) -> bytes:
    """One packet with its time, direction and comments (section 4.3)."""
    data = packet.data
    high, low = _halves(packet.time)
    size = len(data) if packet.size is None else packet.size
    return _block(
        ENHANCED_PACKET,
        b"".join((
            PACKET.pack(packet.interface, high, low, len(data), size),
            data,
            bytes(-len(data) % 4),
            _packet_options(packet.outbound, packet.comments),
        )),
    )  # fmt: skip


@lru_cache(maxsize=64)  # most have none, and two directions
def _packet_options(outbound: bool | None, comments: tuple[str, ...]) -> bytes:
    direction = None if outbound is None else 2 if outbound else 1
    return options(*(text(1, comment) for comment in comments), number(2, direction, "<I"))


def interface_statistics(statistics: Statistics) -> bytes:
    """How an interface did (section 4.6)."""
    return _block(
        INTERFACE_STATISTICS,
        _STATISTICS.pack(statistics.interface, *_halves(statistics.time))
        + options(
            *(text(1, comment) for comment in statistics.comments),
            time(2, statistics.began),
            time(3, statistics.ended),
            number(4, statistics.received, "<Q"),
            number(5, statistics.dropped, "<Q"),
            number(6, statistics.accepted, "<Q"),
        ),
    )


def decryption_secrets(lines: bytes) -> bytes:
    """Lines of a TLS key log (section 4.7), for packets that follow."""
    return _block(DECRYPTION_SECRETS, _SECRETS.pack(TLS_KEY_LOG, len(lines)) + lines + bytes(-len(lines) % 4))


def whole_blocks(data: bytes | bytearray | memoryview) -> int:
    """How many of these bytes, which begin with a block, are whole blocks."""
    at = 0
    while at + _EDGES.size <= len(data):
        _, length = _EDGES.unpack_from(data, at)
        if at + length > len(data) or not length:
            break
        at += length
    return at


def _block(kind: int, body: bytes) -> bytes:
    length = _EDGES.size + len(body) + _LENGTH.size
    return b"".join((_EDGES.pack(kind, length), body, _LENGTH.pack(length)))


def _halves(nanoseconds: int) -> tuple[int, int]:
    """A time as the format has it: upper and lower 32 bits."""
    return nanoseconds >> 32, nanoseconds & 0xFFFFFFFF
