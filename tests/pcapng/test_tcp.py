"""Segments in packets: tshark finds nothing wrong with any field."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from pellucid.pcapng import RAW_IP, Interface, Packet, enhanced_packet, interface_description, section_header
from pellucid.pcapng.tcp import ACK, MOST_PAYLOAD, PSH, End, Segment, Way

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = (
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.len",
    "tcp.checksum.status",
)
PAYLOADS = [
    b"",
    b"a",
    b"ab",
    b"\xff\xff",
    bytes(range(256)) * 255,
    bytes(MOST_PAYLOAD),
    b"\xff" * MOST_PAYLOAD,
]


@pytest.mark.parametrize(("one", "other"), [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8::2")])
def test_every_field(one: str, other: str, tmp_path: Path) -> None:
    """Ports, numbers beyond 32 bits, flags, lengths up to the longest and both checksums are as tshark expects."""
    assert shutil.which("tshark"), "tshark is missing: apt-get install tshark"
    source, destination = End(ip_address(one), 49152), End(ip_address(other), 80)
    segments = [Segment((1 << 32) + 5 + at, 7, PSH | ACK, load) for at, load in enumerate(PAYLOADS)]
    packets = [Way(source, destination).packet(segment) for segment in segments]
    file = tmp_path / "a.pcapng"
    head = section_header("a test") + interface_description(Interface(RAW_IP, "none"))
    file.write_bytes(head + b"".join(enhanced_packet(Packet(0, 0, data)) for data in packets))
    command = [
        "tshark",
        "-r",
        file,
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
        "-T",
        "fields",
    ]
    shown = subprocess.run(
        [*command, *(word for field in (*FIELDS, "ip.checksum.status") for word in ("-e", field))],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    good = "1" if source.address.version == 4 else ""
    expected = [
        ["49152", "80", str(5 + at), "7", "0x0018", str(len(load)), "1", good]
        for at, load in enumerate(PAYLOADS)
    ]
    assert [line.split("\t") for line in shown] == expected
