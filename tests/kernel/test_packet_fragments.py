"""Packets whose ports do not stand right behind the IP header: whose they are is known all the same, or counted."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.kernel.networks import joined
from tests.kernel.pcaps import dumped, end, hashes, tcpdump
from tests.kernel.running import wait_for
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.networks import Network
    from tests.kernel.running import Capture, Programs

    Pcap = Callable[..., Capture]

pytestmark = pytest.mark.kernel

PAYLOAD = os.urandom(8192)
SENDER = """
import socket, sys
data = bytes.fromhex(sys.stdin.readline())
for address, port in zip(sys.argv[1::2], sys.argv[2::2]):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(data, (address, int(port)))
sys.stdin.readline()
"""
CRAFTED = "02:00:00:00:00:77"
"""The source of frames that a test makes: nobody else's there."""
ETHERNET = bytes.fromhex("020000000001" + CRAFTED.replace(":", ""))
NEAR, FAR = (socket.inet_pton(socket.AF_INET6, address) for address in ("fd97::1", "fd97::2"))
IPV6, HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0x86DD, 0, 43, 44, 51, 60
UDP, TCP, ICMP = 17, 6, 1


def with_ipv6(here: Network, there: Network) -> None:
    """Give both ends addresses of IPv6 as well, which can be used at once."""
    for network, address in ((here, "fd97::1/64"), (there, "fd97::2/64")):
        words = ["ip", "-n", network.name, "address", "add", address, "dev", network.interface, "nodad"]
        subprocess.run(words, check=True, capture_output=True)


def left_out(file: Path) -> dict[str, int]:
    """What the summary of a capture says of packets whose owner is not known."""
    last = json.loads(file.with_name(f"{file.name}.ndjson").read_text().splitlines()[-1])
    assert last["type"] == "summary"
    return last["left_out"]


def bound(family: int, address: str) -> socket.socket:
    """A socket that takes datagrams."""
    taker = socket.socket(family, socket.SOCK_DGRAM)
    taker.bind((address, 0))
    taker.settimeout(5)
    return taker


def test_fragments_of_a_process(pcap: Pcap, programs: Programs, tmp_path: Path) -> None:
    """Of datagrams that are larger than a packet, over IPv4 and IPv6, all fragments are the sender's, and the receiver's, as
    tcpdump has them, and tshark makes them whole again; another process has none of them.
    """
    sent, received, others, theirs = (tmp_path / name for name in ("sent", "received", "others", "theirs"))
    with joined() as (here, there):
        with_ipv6(here, there)
        with there.entered():
            takers = bound(socket.AF_INET, there.address), bound(socket.AF_INET6, "fd97::2")
        with takers[0], takers[1], here.entered():
            reader, writer = os.pipe()
            ends = [str(word) for taker in takers for word in taker.getsockname()[:2]]
            sender = programs.start(sys.executable, "-c", SENDER, *ends, stdin=reader)
            os.close(reader)
            other = programs.start("sleep", "1000")
            runs = [pcap(sent, "-i", here.interface, "--pid", str(sender.pid))]
            runs.append(pcap(others, "-i", here.interface, "--pid", str(other.pid)))
            with there.entered(), tcpdump(there.interface, theirs), os.fdopen(writer, "wb", 0) as told:
                runs.append(pcap(received, "-i", there.interface, "--pid", str(os.getpid())))
                told.write(PAYLOAD.hex().encode() + b"\n")
                assert [taker.recv(1 << 16) for taker in takers] == [PAYLOAD] * 2
                wait_for(
                    lambda: sum(int(size) > 500 for size, _ in dumped(theirs)) >= 12, "tcpdump to write all"
                )
            for run in runs:
                end(run)
    only = f"(ip.src == {here.address} || ipv6.src == fd97::1) && !icmp && !icmpv6"
    truth = Counter(hashes(theirs, only))
    assert sum(truth.values()) == 12
    assert Counter(hashes(sent, only)) == Counter(hashes(received, only)) == truth
    assert hashes(others, only) == []
    for file in (sent, received):
        assert fields(file, "udp.payload", only=f"udp && {only}") == [[PAYLOAD.hex()]] * 2
        assert left_out(file)["without_first"] == 0
    comments = {comment.split()[0] for (comment,) in fields(sent, "frame.comment", only=only)}
    assert comments == {f"pid={sender.pid}"}


def ipv4(protocol: int, payload: bytes, *, fragment: int = 0, number: int = 1) -> bytes:
    """A packet from the far end of the veth to the near one; `fragment` is its field of that name."""
    ends = socket.inet_aton("10.97.0.2") + socket.inet_aton("10.97.0.1")
    return (
        struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, fragment, 64, protocol, 0)
        + ends
        + payload
    )


def ipv6(protocol: int, payload: bytes) -> bytes:
    """A packet from the far end of the veth to the near one."""
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + FAR + NEAR + payload


def udp(port: int, payload: bytes) -> bytes:
    """A datagram to that port."""
    return struct.pack(">HHHH", 4000, port, 8 + len(payload), 0) + payload


def extension(kind: int, following: int) -> bytes:
    """An IPv6 extension header, without a meaning, and what follows it (RFC 8200 section 4, RFC 4302 section 2)."""
    if kind == AUTHENTICATION:
        return struct.pack(">BBHII", following, 4, 0, 1, 1) + bytes(12)
    if kind == ROUTING:
        return struct.pack(">BBBBI", following, 0, 253, 0, 0)
    if kind == FRAGMENT:
        return struct.pack(">BBHI", following, 0, 0, 1)
    return struct.pack(">BBBB", following, 1, 1, 10) + bytes(12)


def behind(kinds: tuple[int, ...], datagram: bytes) -> bytes:
    """A frame with a UDP datagram behind these extension headers."""
    payload, following = datagram, UDP
    for kind in reversed(kinds):
        payload, following = extension(kind, following) + payload, kind
    return ETHERNET + struct.pack(">H", IPV6) + ipv6(following, payload)


def send(network: Network, *frames: bytes) -> list[tuple[str, str]]:
    """Send frames as they are from that end of the veth; length and hash of each."""
    with network.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((network.interface, 0))
        for frame in frames:
            assert wire.send(frame) == len(frame)
    return [(str(len(frame)), hashlib.md5(frame).hexdigest()) for frame in frames]


def test_extension_headers(pcap: Pcap, tmp_path: Path) -> None:
    """With a filter for a process, datagrams for it are there behind up to four IPv6 extension headers; behind five they
    are counted, and those for nobody are.
    """
    ours = tmp_path / "ours"
    kinds = HOP_BY_HOP, DESTINATION, ROUTING, AUTHENTICATION, FRAGMENT
    chains = [*((kind,) for kind in kinds), (HOP_BY_HOP, ROUTING, AUTHENTICATION, DESTINATION)]
    with joined() as (here, there):
        with_ipv6(here, there)
        with here.entered(), bound(socket.AF_INET6, "fd97::1") as taker:
            port = taker.getsockname()[1]
            run = pcap(ours, "-i", here.interface, "--pid", str(os.getpid()), f"ether src {CRAFTED}")
            wanted = send(there, *(behind(chain, udp(port, bytes(chain))) for chain in chains))
            too_many = behind((HOP_BY_HOP, *(DESTINATION,) * 4), udp(port, b"five"))
            send(there, too_many, behind((HOP_BY_HOP,), udp(1, b"nobody")))
            wait_for(lambda: len(hashes(ours, "frame")) == len(wanted), "the packets to be written")
            log = end(run)
    assert hashes(ours, "frame") == wanted
    assert left_out(ours) == {"unowned": 2, "without_first": 0}
    assert "left out, of nobody who is known: 2 packets without a socket here" in log


def test_fragments_without_the_first(pcap: Pcap, tmp_path: Path) -> None:
    """A fragment that comes before the first of its datagram, which has the ports, is left out by a filter for a process,
    and counted; those behind it are there.
    """
    ours = tmp_path / "ours"
    more, number = 0x2000, 77
    with joined() as (here, there), here.entered(), bound(socket.AF_INET, here.address) as taker:
        run = pcap(ours, "-i", here.interface, "--pid", str(os.getpid()), f"ether src {CRAFTED}")
        datagram = udp(taker.getsockname()[1], PAYLOAD[:72])
        first, middle, last = (
            ETHERNET + b"\x08\x00" + ipv4(UDP, datagram[at : at + 32], fragment=flag | at // 8, number=number)
            for at, flag in ((0, more), (32, more), (64, 0))
        )
        foreign = ETHERNET + b"\x08\x00" + ipv4(UDP, bytes(32), fragment=4, number=number + 1)
        send(there, last, foreign)
        wanted = send(there, first, middle, last)
        wait_for(lambda: len(hashes(ours, "frame")) == 3, "the fragments to be written")
        log = end(run)
    assert hashes(ours, "frame") == wanted
    assert left_out(ours) == {"unowned": 0, "without_first": 2}
    assert "left out, of nobody who is known: 2 fragments behind no first one of its datagram" in log


def test_errors_about_a_process(pcap: Pcap, programs: Programs, tmp_path: Path) -> None:
    """An ICMP error belongs to the process whose packet it quotes, over IPv4 and IPv6, even where it quotes no more than
    the ports; errors about others are not there.
    """
    ours = tmp_path / "ours"
    with joined() as (here, there):
        with_ipv6(here, there)
        with there.entered():
            listener = socket.create_server((there.address, 0))
        with listener, here.entered():
            run = pcap(ours, "-i", here.interface, "--pid", str(os.getpid()))
            for address in (there.address, "fd97::2"):
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
                    datagrams.connect((address, 9))
                    datagrams.send(b"to nobody")
                    wait_for(lambda: datagrams.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "an error")
                programs.run(sys.executable, "-c", SENDER, address, "10", input=b"ff\n\n")
            with socket.create_connection(listener.getsockname()) as client:
                ports = struct.pack(">HH", client.getsockname()[1], listener.getsockname()[1])
                quoted = bytearray(ipv4(TCP, ports + bytes(4)))
                quoted[12:20] = quoted[16:20] + quoted[12:16]  # it went the other way
                send(there, ETHERNET + b"\x08\x00" + ipv4(ICMP, b"\x03\x04\0\0\0\0\x05\xdc" + quoted))
                only = "icmp.type == 3 || icmpv6.type == 1"
                wait_for(
                    lambda: len(fields(ours, "frame.number", only=only)) == 3, "the errors to be written"
                )
            end(run)
    rows = fields(ours, "udp.dstport", "tcp.srcport", "frame.comment", only=only)
    assert [row[:2] for row in rows] == [["9", ""], ["9", ""], ["", str(struct.unpack(">H", ports[:2])[0])]]
    assert all(comment.startswith(f"pid={os.getpid()} ") for _, _, comment in rows)


def test_packets_without_ports(pcap: Pcap, tmp_path: Path) -> None:
    """What a process sends by a socket without ports is its own; the answer is nobody's, and counted."""
    ours = tmp_path / "ours"
    with joined() as (here, there), here.entered():
        run = pcap(ours, "-i", here.interface, "--pid", str(os.getpid()), "icmp")
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as echoes:
            echoes.settimeout(5)
            echoes.sendto(struct.pack(">BBHHH", 8, 0, 0xF7FC, 1, 2), (there.address, 0))
            assert echoes.recv(100)[20:21] == b"\0"  # the reply
        end(run)
    [[kind, comment]] = fields(ours, "icmp.type", "frame.comment")
    assert kind == "8"
    assert comment.startswith(f"pid={os.getpid()} ")
    assert left_out(ours) == {"unowned": 1, "without_first": 0}


AFTER = """
import socket, sys
datagrams = socket.socket(fileno=int(sys.argv[1]))
datagrams.send(b"second")
datagrams.send(b"the third")
"""
BEFORE = """
import os, socket, sys
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.set_inheritable(True)
datagrams.connect((sys.argv[1], int(sys.argv[2])))
datagrams.send(b"first")
os.execv(sys.argv[3], [sys.argv[3], "-c", sys.argv[4], str(datagrams.fileno())])
"""


def test_a_process_that_becomes_another_program(pcap: Pcap, programs: Programs, tmp_path: Path) -> None:
    """A socket that a process keeps while it becomes another program is that program's once it has used it, in the middle
    of a flow.
    """
    ours, successor = tmp_path / "ours", tmp_path / "successor"
    successor.symlink_to("/usr/bin/python3")
    with joined() as (here, there):
        with there.entered():
            taker = bound(socket.AF_INET, there.address)
        with taker, here.entered():
            run = pcap(ours, "-i", here.interface)
            port = str(taker.getsockname()[1])
            programs.run("/usr/bin/python3", "-c", BEFORE, there.address, port, successor, AFTER)
            end(run)
    rows = fields(ours, "udp.length", "frame.comment", only="udp && !icmp && !icmpv6 && ip")
    names = {size: comment.split(" comm=")[1] for size, comment in rows}
    assert names[str(8 + len(b"first"))] == "python3"
    assert names[str(8 + len(b"the third"))] == "successor"
