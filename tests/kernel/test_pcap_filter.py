"""Filters in the kernel against libpcap's own interpreter of them."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.attach.packets.classic import Classic, Translated
from pellucid.attach.packets.pcap_filter import compile_filter, compile_filters
from pellucid.errors import UsageError
from pellucid.libbpf import RawProgram
from pellucid.libbpf._native import ffi, lib
from pellucid.libbpf.programs import SCHED_CLS
from pellucid.pcapng import ETHERNET, RAW_IP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROG_ARRAY = 3  # enum bpf_map_type
MATCH, MISS = 7, 9
FILTERS = (
    "tcp port 443",
    "host 10.0.0.1 and not port 22",
    "udp or icmp or arp",
    "ip6",
    "net 192.168.0.0/16",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip[6:2] & 0x1fff = 0 and (ip[0] & 0xf) * 4 > 20",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "greater 80 and less 200",
    "portrange 1000-2000",
)
ETHERNET_FILTERS = (
    *FILTERS,
    "ether host 02:00:00:00:00:01",
    "vlan 5 and ip",
    "ether broadcast",
    "ether[12:2] > 1500",
)


@pytest.fixture(scope="module")
def entries() -> Iterator[int]:
    """A program array whose first program returns MATCH."""
    fd = lib.bpf_map_create(PROG_ARRAY, b"entries", 4, 4, 1, ffi.NULL)
    assert fd >= 0
    code = struct.pack("<BBhiBBhi", 0xB7, 0, 0, MATCH, 0x95, 0, 0, 0)
    program = RawProgram("match", SCHED_CLS, code)
    assert lib.bpf_map_update_elem(fd, ffi.new("int *", 0), ffi.new("int *", program.fd), 0) == 0
    yield fd
    program.close()


def in_kernel(program: RawProgram, packet: bytes) -> bool:
    """What the kernel makes of a packet."""
    options = ffi.new("struct bpf_test_run_opts *")
    options.sz = ffi.sizeof("struct bpf_test_run_opts")
    data = ffi.from_buffer(packet)
    options.data_in, options.data_size_in = data, len(packet)
    assert lib.bpf_prog_test_run_opts(program.fd, options) == 0
    assert options.retval in {MATCH, MISS}
    return bool(options.retval == MATCH)


def in_libpcap(program: Sequence[Classic], packet: bytes) -> bool:
    """What libpcap makes of it."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    interpreter = ctypes.CDLL("libpcap.so.0.8").bpf_filter
    return bool(interpreter(code, packet, len(packet), len(packet)) & 0xFFFFFFFF)


ADDRESSES = st.sampled_from([b"\x0a\0\0\1", b"\xc0\xa8\1\2", b"\x08\x08\x08\x08"])
PORTS = st.sampled_from([22, 80, 443, 1500, 53])


@st.composite
def ip_packets(draw: st.DrawFn) -> bytes:
    """IP packets that filters tell apart, and some that end too early."""
    protocol = draw(st.sampled_from([1, 6, 17]))
    options = draw(st.binary(max_size=3)) * 4
    transport = struct.pack(">HH", draw(PORTS), draw(PORTS)) + draw(st.binary(min_size=24, max_size=200))
    fragment = draw(st.sampled_from([0, 0x4000, 0x2001]))
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(transport), 1, fragment, 64, protocol, 0,
        draw(ADDRESSES), draw(ADDRESSES),
    )  # fmt: skip
    whole = header + options + transport
    return whole[: draw(st.sampled_from([len(whole), 24, 34]))]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Ethernet frames, some with VLAN tags, and some that say something else than they are."""
    tag = draw(st.sampled_from([b"", b"\x81\0\0\5", b"\x81\0\0\6"]))
    kind = draw(st.sampled_from([b"\x08\0", b"\x08\0", b"\x86\xdd", b"\x08\6"]))
    hosts = draw(st.sampled_from([b"\2\0\0\0\0\1", b"\xff" * 6])) + b"\2\0\0\0\0\2"
    return (hosts + tag + kind + draw(ip_packets())).ljust(
        58, b"\0"
    )  # shorter ones are none of IPv6 to the kernel


@pytest.mark.parametrize("words", ETHERNET_FILTERS)
def test_ethernet(entries, words):
    """Of Ethernet frames the kernel takes those that libpcap takes."""
    code = compile_filter(words.split(), ETHERNET)
    program = RawProgram("filter", SCHED_CLS, Translated(code, link_layer=True).code(entries, 0, miss=MISS))

    @settings(max_examples=40, deadline=None, database=None)
    @given(frames())
    def check(frame: bytes) -> None:
        assert in_kernel(program, frame) == in_libpcap(code, frame)

    check()
    program.close()


@pytest.mark.parametrize("words", FILTERS)
def test_without_link_layer(entries, words):
    """Of packets that begin with IP the kernel takes those that libpcap takes."""
    code = compile_filter(words.split(), RAW_IP)
    program = RawProgram("filter", SCHED_CLS, Translated(code, link_layer=False).code(entries, 0, miss=MISS))

    @settings(max_examples=40, deadline=None, database=None)
    @given(ip_packets())
    def check(packet: bytes) -> None:
        assert in_kernel(program, packet) == in_libpcap(code, packet)

    check()
    program.close()


LOADS = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x00, 0x01, 0x60, 0x61, 0x81, 0xB1]
CALCULATIONS = [
    code | source
    for code in (0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xA4)
    for source in (0, 8)
]
OTHERS = [0x84, 0x07, 0x87, 0x02, 0x03]
JUMPS = [code | source for code in (0x15, 0x25, 0x35, 0x45) for source in (0, 8)]
NUMBERS = st.one_of(st.integers(0, 70), st.sampled_from([31, 32, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))


@st.composite
def instructions(draw: st.DrawFn) -> list[Classic]:
    """A program that ends: it sets the first words of memory, and jumps forward only."""
    program = [Classic(0x00, 0, 0, 5), *(Classic(0x02, 0, 0, word) for word in range(4))]
    size = draw(st.integers(1, 12))
    for left in range(size, 0, -1):
        code = draw(st.sampled_from(LOADS + CALCULATIONS + OTHERS + JUMPS))
        kind, k = code & 7, draw(NUMBERS)
        jumps = (draw(st.integers(0, left - 1)), draw(st.integers(0, left - 1))) if kind == 5 else (0, 0)
        if code in {0x60, 0x61, 0x02, 0x03}:
            k %= 4
        elif code in {0x20, 0x28, 0x30, 0xB1}:
            k %= 80
        elif code in {0x34, 0x94}:
            k = k or 1
        elif code in {0x64, 0x74}:
            k %= 32
        program.append(Classic(code, *jumps, k))
    program.append(Classic(draw(st.sampled_from([0x06, 0x16])), 0, 0, draw(st.integers(0, 1))))
    return program


@settings(max_examples=200, deadline=None, database=None)
@example(
    [Classic(0x00, 0, 0, 1), Classic(0x07, 0, 0, 0), Classic(0x7C, 0, 0, 0), Classic(0x16, 0, 0, 0)],
    bytes(60),
)
@example(
    [Classic(0x01, 0, 0, 5), Classic(0x40, 0, 0, 0xFFFFFFFF), Classic(0x06, 0, 0, 1)], bytes(14)
)  # beyond 32 bits
@given(instructions(), st.binary(min_size=14, max_size=90))
def test_any_program(entries, code, packet):
    """Whatever a classic program calculates, its translation does the same."""
    program = RawProgram("filter", SCHED_CLS, Translated(code, link_layer=False).code(entries, 0, miss=MISS))
    try:
        assert in_kernel(program, packet) == in_libpcap(code, packet)
    finally:
        program.close()


def test_what_does_not_compile():
    """Words that are no filter are refused in one line, with them and libpcap's reason."""
    with pytest.raises(UsageError, match=r"the filter 'tcp prot 443' does not compile: .*syntax error"):
        compile_filters(["tcp", "prot", "443"])


def test_words_for_ethernet_alone():
    """A filter that has no meaning without a link layer is there for Ethernet alone."""
    assert set(compile_filters(["vlan", "5"])) == {ETHERNET}
    assert set(compile_filters(["tcp"])) == {ETHERNET, RAW_IP}


def test_a_chain_of_headers():
    """A filter that loops is refused: its jump goes back, which no program in the kernel may."""
    with pytest.raises(UsageError, match="follows a chain of headers"):
        compile_filters(["ip", "protochain", "6"])
