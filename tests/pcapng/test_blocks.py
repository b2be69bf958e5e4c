"""Blocks of pcapng, read back by two readers that others have written: python-pcapng and tshark."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcapng import FileScanner
from pellucid.pcapng import (
    ETHERNET,
    RAW_IP,
    Interface,
    Packet,
    Statistics,
    decryption_secrets,
    enhanced_packet,
    interface_description,
    interface_statistics,
    section_header,
    whole_blocks,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    "ignore:Field type should not be:DeprecationWarning"
)  # python-pcapng warns of itself

NS = st.integers(0, (1 << 63) - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
COUNTS = st.none() | st.integers(0, (1 << 64) - 1)
PACKETS = st.builds(
    Packet,
    interface=st.integers(0, 1),
    time=NS,
    data=st.binary(max_size=70),
    size=st.none() | st.integers(70, 1 << 20),
    outbound=st.none() | st.booleans(),
    comments=st.lists(WORDS.filter(bool), max_size=3).map(tuple),
)
HEAD = section_header("a test") + b"".join(
    interface_description(Interface(ETHERNET, name)) for name in ("one", "two")
)


def read(file: bytes) -> list[Any]:
    """The blocks as python-pcapng sees them."""
    return list(FileScanner(io.BytesIO(file)))


@given(st.lists(PACKETS, max_size=5))
def test_packets(packets: list[Packet]) -> None:
    """Invariant: time, bytes, true length, direction and comments of each packet come back as they were given."""
    _, _, _, *blocks = read(HEAD + b"".join(map(enhanced_packet, packets)))
    assert len(blocks) == len(packets)
    for block, packet in zip(blocks, packets, strict=True):
        assert block.interface_id == packet.interface
        assert block.timestamp_high << 32 | block.timestamp_low == packet.time
        assert block.timestamp_resolution == 1e-9
        assert block.packet_data == packet.data
        assert block.packet_len == (len(packet.data) if packet.size is None else packet.size)
        assert block.options.get_all("opt_comment") == list(packet.comments)
        direction = None if packet.outbound is None else "outbound" if packet.outbound else "inbound"
        flags = block.options.get("epb_flags")
        assert (flags.inout if flags else None) == direction


@given(WORDS, WORDS, WORDS, WORDS)
def test_interfaces(name: str, description: str, words: str, os: str) -> None:
    """Invariant: what is said of section and interface comes back, and what is empty is not there."""
    section, block = read(
        section_header(description, os)
        + interface_description(Interface(RAW_IP, name, description, words, os))
    )
    given_options = [description, os, name, description, words, os]
    found = [
        section.options.get("shb_userappl", ""),
        section.options.get("shb_os", ""),
        block.options.get("if_name", ""),
        block.options.get("if_description", ""),
        (block.options.get("if_filter") or (0, b""))[1].decode(),
        block.options.get("if_os", ""),
    ]
    assert found == given_options
    assert (block.link_type, block.snaplen, block.timestamp_resolution) == (RAW_IP, 0, 1e-9)


@given(COUNTS, COUNTS, COUNTS, NS)
def test_statistics(received: int | None, dropped: int | None, accepted: int | None, time: int) -> None:
    """Invariant: counters of an interface come back whole, 64 bits long; what is not known is not there."""
    given_statistics = Statistics(
        1, time, began=time // 2, ended=time, received=received, dropped=dropped, accepted=accepted
    )
    data = interface_statistics(given_statistics)
    *_, block = read(HEAD + data)
    names = "isb_ifrecv", "isb_ifdrop", "isb_filteraccept"
    assert [block.options.get(name) for name in names] == [received, dropped, accepted]
    for code, moment in ((2, time // 2), (3, time)):  # which python-pcapng reads with their halves exchanged
        assert struct.pack("<HHII", code, 8, moment >> 32, moment & 0xFFFFFFFF) in data


@given(st.binary(max_size=9))
def test_secrets(lines: bytes) -> None:
    """Invariant: a block of secrets has its type, the secrets' type, their length, and them, padded (section 4.7)."""
    block = decryption_secrets(lines)
    numbers = [int.from_bytes(block[at : at + 4], "little") for at in (0, 4, 8, 12)]
    assert numbers == [0x0A, len(block), 0x544C534B, len(lines)]
    assert block[16 : 16 + len(lines)] == lines
    assert len(block) % 4 == 0
    assert block[-4:] == block[4:8]


@given(st.lists(PACKETS, max_size=4), st.integers(0, 2000))
def test_whole_blocks(packets: list[Packet], cut: int) -> None:
    """Invariant: of bytes that are cut anywhere, what counts as whole ends where a block did, and no later block fits."""
    blocks = list(map(enhanced_packet, packets))
    ends = [sum(map(len, blocks[:count])) for count in range(len(blocks) + 1)]
    assert whole_blocks(b"".join(blocks)[:cut]) == max(end for end in ends if end <= cut)


def test_a_comment_that_is_too_long() -> None:
    """What does not fit into an option is cut between two characters."""
    *_, block = read(HEAD + enhanced_packet(Packet(0, 0, b"", comments=("x" + "é" * 40_000,))))
    assert block.options["opt_comment"] == "x" + "é" * 32_767


def test_wireshark_reads_it(tmp_path: Path) -> None:
    """capinfos takes a file with every kind of block and names its interfaces, precision and drops."""
    assert shutil.which("capinfos"), "capinfos is missing: apt-get install wireshark-common"
    file = tmp_path / "a.pcapng"
    statistics = interface_statistics(Statistics(1, 2_000_000_000, received=5, dropped=3))
    secrets = decryption_secrets(b"CLIENT_RANDOM 00 11\n")
    packets = enhanced_packet(Packet(1, 1_500_000_000, bytes(60), outbound=True, comments=("hello",)))
    file.write_bytes(HEAD + secrets + packets + statistics)
    told = subprocess.run(["capinfos", file], capture_output=True, text=True, check=True).stdout
    for words in (
        "File timestamp precision:  nanoseconds (9)",
        "Number of packets:   1",
        "Name = two",
        "Number of decryption secrets in file: 1",
        "First packet time:   1970-01-01 00:00:01.500000000",
    ):
        assert words in told


def test_a_file_that_ends_in_the_middle(tmp_path: Path) -> None:
    """tshark shows all whole packets of a file whose last block is cut."""
    packets = [enhanced_packet(Packet(0, time, bytes(60))) for time in range(3)]
    file = tmp_path / "a.pcapng"
    file.write_bytes((HEAD + b"".join(packets))[:-7])
    shown = subprocess.run(["tshark", "-r", file], capture_output=True, text=True)
    assert len(shown.stdout.splitlines()) == 2
    assert "cut short" in shown.stderr
