"""Packets of interfaces, packet for packet what tcpdump has, with nothing of anybody else's touched."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.cgroups import root
from tests.kernel.networks import alone, joined
from tests.kernel.pcaps import (
    WITHOUT_TC,
    WITHOUT_TCX,
    arrangements,
    counted,
    dumped,
    end,
    ip,
    programs_at,
    tcpdump,
    written,
)
from tests.kernel.running import PATIENCE, Capture, wait_for
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


U32 = ("u32", "match", "u32", "0", "0", "flowid", "1:1")
"""A filter that all packets match."""
SIZE = 3_000_000
"""Bytes of one TCP stream: they pass a veth and loopback in packets of up to 64 KiB."""


@pytest.fixture
def packets(pcap: Callable[..., Capture]) -> Callable[..., Capture]:
    """`packets(file, *flags)` is `pcap` with its log in full."""
    return lambda file, *flags, **options: pcap(file, "-d", *flags, **options)


def transfer(sender: socket.socket, receiver: socket.socket, size: int = SIZE) -> None:
    """Send so much over a TCP connection, and answer."""
    piece = os.urandom(1 << 16)
    pid = os.fork()
    if pid == 0:
        for _ in range(0, size, len(piece)):
            sender.sendall(piece)
        sender.shutdown(socket.SHUT_WR)
        os._exit(0 if sender.recv(2) == b"ok" else 1)
    while receiver.recv(1 << 20):
        pass
    receiver.sendall(b"ok")
    receiver.close()
    assert os.waitpid(pid, 0)[1] == 0
    sender.close()


def connected(address: str, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection to a listener, both ends."""
    client = socket.create_connection((address, listener.getsockname()[1]), 5)
    return client, listener.accept()[0]


def quiet(*interfaces: str) -> None:
    """Have the kernel say nothing by itself there, so that what is counted is what the test sends."""
    for interface in interfaces:
        Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")


def test_veth(packets, tmp_path):
    """Of a veth the file has what tcpdump's has, packet for packet and 64 KiB ones whole, and as many as the veth counted;
    at the true time, under the true name, and none of it lost.
    """
    ours, theirs = tmp_path / "ours.pcapng", tmp_path / "theirs.pcap"
    with joined() as (here, there):
        with there.entered():
            quiet(there.interface)
            listener = socket.create_server((there.address, 0))
        with listener, here.entered():
            quiet(here.interface)
            run = packets(ours, "-i", here.interface)
            with tcpdump(here.interface, theirs):
                before, began = counted(here.interface), time.time()
                transfer(*connected(there.address, listener))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                    for size in (0, 1, 2, 3, 1400, 60_000):
                        datagrams.sendto(bytes(size), (there.address, 9))
                wait_for(
                    lambda: len(dumped(theirs)) == counted(here.interface) - before, "tcpdump to write all"
                )
            passed = counted(here.interface) - before
            assert "lost: nothing" in end(run)
    assert Counter(written(ours, here.interface)) == Counter(dumped(theirs))
    assert len(dumped(theirs)) == passed
    assert max(int(length) for length, _ in dumped(theirs)) > 32_000
    rows = fields(ours, "frame.time_epoch", "frame.interface_name", "frame.encap_type")
    assert all(began - 1 < float(when) < time.time() + 1 for when, _, _ in rows)
    assert {(name, kind) for _, name, kind in rows} == {(here.interface, "1")}


def test_loopback(packets, tmp_path):
    """Of loopback the file has what tcpdump's has: each packet once."""
    ours, theirs = tmp_path / "ours.pcapng", tmp_path / "theirs.pcap"
    with alone() as here, here.entered(), socket.create_server((here.address, 0)) as listener:
        run = packets(ours)
        with tcpdump("lo", theirs):
            before = counted("lo")
            transfer(*connected(here.address, listener))
            wait_for(lambda: 2 * len(dumped(theirs)) == counted("lo") - before, "tcpdump to write all")
        end(run)
    assert Counter(written(ours, "lo")) == Counter(dumped(theirs))
    assert max(int(length) for length, _ in dumped(theirs)) > 60_000


def test_vlan_and_tun(packets, tmp_path):
    """A VLAN tag that the kernel keeps beside a packet stands in the file as tcpdump writes it, and an interface
    without a link layer has IP packets; it appears while the capture runs. A filter counts the tag as well.
    """
    ours, filtered, theirs = (tmp_path / name for name in ("ours.pcapng", "filtered.pcapng", "theirs.pcap"))
    with joined() as (here, there):
        with there.entered():
            quiet(there.interface)
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            wire.bind((there.interface, 0))
        with wire, here.entered():
            quiet("default", here.interface)
            run = packets(ours)
            only = packets(filtered, "-i", here.interface, "vlan 5 and udp port 7")
            with tun("tun5") as device, tcpdump(here.interface, theirs):
                ip("address", "add", "10.99.0.1/24", "dev", "tun5")
                ip("link", "set", "tun5", "up")
                wait_for(
                    lambda: "watching packets of tun5" in run.log.read_text(), "the interface to be watched"
                )
                for port in (7, 9):
                    wire.send(tagged(5, port))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                    datagrams.sendto(b"raw", ("10.99.0.2", 9))
                received = os.read(device, 2048)
                wait_for(lambda: len(dumped(theirs)) == 2, "tcpdump to write both")
            end(run)
            end(only)
    assert written(ours, here.interface) == dumped(theirs)
    only_here = f'frame.interface_name == "{here.interface}"'
    assert fields(ours, "vlan.id", "udp.dstport", only=only_here) == [["5", "7"], ["5", "9"]]
    assert fields(filtered, "vlan.id", "udp.dstport") == [["5", "7"]]
    assert written(ours, "tun5") == [(str(len(received)), hashlib.md5(received).hexdigest())]


def tagged(vlan: int, port: int) -> bytes:
    """An Ethernet frame with a VLAN tag, and a UDP datagram to that port."""
    datagram = struct.pack(">HHHH", 1, port, 14, 0) + b"tagged"
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 34, 1, 0, 64, 17, 0, b"\x0a\x62\0\2", b"\x0a\x62\0\1")
    return b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + struct.pack(">HHH", 0x8100, vlan, 0x0800) + header + datagram


@contextmanager
def tun(name: str) -> Iterator[int]:
    """A tun device, as a descriptor that gets what is sent through it (linux/if_tun.h)."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH14x", name.encode(), 0x1001))  # IFF_TUN | IFF_NO_PI
        yield device
    finally:
        os.close(device)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_others_have_stays(packets, tmp_path, number):
    """Queues and filters of others are what they were, while a capture runs and after it; of ours nothing is left,
    whichever way it ends.
    """
    with joined() as (here, _), here.entered():
        for words in (
            ("qdisc", "add", "dev", here.interface, "clsact"),
            ("qdisc", "add", "dev", here.interface, "root", "pfifo"),
            ("filter", "add", "dev", here.interface, "ingress", "protocol", "ip", *U32),
            ("filter", "add", "dev", here.interface, "egress", "protocol", "ip", *U32),
        ):
            subprocess.run(["tc", *words], check=True)
        before = arrangements(here.interface)
        assert programs_at(here.interface) == [0, 0]
        run = packets(tmp_path / "ours.pcapng", "-i", here.interface)
        assert programs_at(here.interface) == [1, 1]
        assert arrangements(here.interface) == before
        run.process.send_signal(number)
        run.process.wait(PATIENCE)
        wait_for(lambda: programs_at(here.interface) == [0, 0], "the programs to be gone")
        assert arrangements(here.interface) == before


def test_filter(packets, tmp_path):
    """Words say which packets are meant: of the others none is written, or counted."""
    ours = tmp_path / "ours.pcapng"
    with joined() as (here, there), here.entered():
        run = packets(ours, "-i", here.interface, "udp", "port", "5000", "and", "greater", "100")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for port in (5000, 5001):
                for size in (10, 90):
                    datagrams.sendto(bytes(size), (there.address, port))
        assert "1 packets are written; lost: nothing" in end(run)
    assert fields(ours, "udp.dstport", "udp.length") == [["5000", "98"]]


def speak(address: str, port: int) -> None:
    """Say something on a connection, and get an answer; send a datagram to nobody."""
    with socket.create_connection((address, port), 5) as connection:
        connection.sendall(b"hello")
        connection.recv(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.sendto(b"datagram", (address, 9))


class Speaker:
    """A process that speaks when it is told."""

    def __init__(self, address: str, listener: socket.socket) -> None:
        self._listener = listener
        told, self._go = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            port = listener.getsockname()[1]
            listener.close()
            os.read(told, 1)
            speak(address, port)
            os._exit(0)
        os.close(told)

    def speak(self) -> int:
        """Have it speak, answer it, and wait for its end; the port that it had."""
        os.write(self._go, b"!")
        os.close(self._go)
        connection, (_, port) = self._listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"!")
            assert os.waitpid(self.pid, 0)[1] == 0
        return int(port)


def pid_in(comment: str) -> int:
    """Which process a packet's comment names."""
    found = re.match(r"pid=(\d+) comm=\S", comment)
    assert found, comment
    return int(found[1])


def test_whose_packets(packets, tmp_path):
    """Each packet of a connection, from its SYN on, says which process sends it, and so does a first datagram."""
    ours = tmp_path / "ours.pcapng"
    with alone() as here, here.entered(), socket.create_server((here.address, 0)) as listener:
        run = packets(ours)
        speaker = Speaker(here.address, listener)
        port = speaker.speak()
        end(run)
    rows = fields(ours, "tcp.srcport", "frame.comment", only="tcp")
    assert {pid_in(comment) for source, comment in rows if source == str(port)} == {speaker.pid}
    assert {pid_in(comment) for source, comment in rows if source != str(port)} == {os.getpid()}
    [[datagram]] = fields(ours, "frame.comment", only="udp && !icmp")
    assert pid_in(datagram) == speaker.pid


def test_names_are_one_word(packets, tmp_path):
    """A process cannot name itself so that a packet's comment moves a cursor, or says that it is another one."""
    ours = tmp_path / "ours.pcapng"
    with alone() as here, here.entered(), socket.create_server((here.address, 0)) as listener:
        run = packets(ours)
        pid = os.fork()
        if pid == 0:
            Path("/proc/self/comm").write_bytes(b"a\x1b[2J pid=1 \xff~")
            speak(here.address, listener.getsockname()[1])
            os._exit(0)
        with listener.accept()[0] as connection:
            connection.sendall(b"!")
            assert os.waitpid(pid, 0)[1] == 0
        end(run)
    [[comment]] = fields(ours, "frame.comment", only="udp && !icmp")
    assert comment == f"pid={pid} comm=a?[2J?pid?1??~"


@pytest.mark.parametrize("flag", ["--pid", "--container"])
def test_packets_of_one_process(packets, tmp_path, flag):
    """With a filter for processes the packets of their connections are there, from the SYN on, and no others; they say
    in which container the process is.
    """
    ours = tmp_path / "ours.pcapng"
    container = os.urandom(32).hex()
    group = (root() or Path("/")) / f"docker-{container}.scope"
    group.mkdir()
    try:
        with alone() as here, here.entered(), socket.create_server((here.address, 0)) as listener:
            speaker = Speaker(here.address, listener)
            (group / "cgroup.procs").write_text(str(speaker.pid))
            run = packets(ours, flag, str(speaker.pid) if flag == "--pid" else container[:12])
            Speaker(here.address, listener).speak()
            source, port = str(speaker.speak()), str(listener.getsockname()[1])
            run.process.wait(PATIENCE) if flag == "--pid" else end(run)
    finally:
        group.rmdir()
    rows = fields(ours, "tcp.srcport", "tcp.dstport", "tcp.flags.syn", only="tcp")
    assert {frozenset(row[:2]) for row in rows} == {frozenset((source, port))}
    assert [row[:2] for row in rows if row[2] == "1"] == [[source, port], [port, source]]
    [[comment]] = fields(ours, "frame.comment", only="udp && !icmp")
    assert comment.startswith(f"pid={speaker.pid} ")
    assert comment.endswith(f" container={container[:12]}")


@pytest.mark.parametrize("patch", [WITHOUT_TCX, WITHOUT_TC], ids=["clsact", "packet-socket"])
def test_older_kernels(packets, tmp_path, patch):
    """Where there is no tcx, filters of clsact see the same packets, and where there is no TC a packet socket does; a
    filter chooses among them, and of loopback each is there once.
    """
    ours, filtered, local = (tmp_path / f"{name}.pcapng" for name in ("ours", "filtered", "local"))
    theirs = tmp_path / "theirs.pcap"
    with joined() as (here, there):
        with there.entered():
            quiet(there.interface)
            listener = socket.create_server((there.address, 0))
        with listener, here.entered():
            quiet(here.interface)
            before = arrangements(here.interface)
            runs = [
                packets(ours, "-i", here.interface, patch=patch),
                packets(filtered, "-i", here.interface, "udp", patch=patch),
                packets(local, "-i", "lo", "udp", patch=patch),
            ]
            with (
                tcpdump(here.interface, theirs),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            ):
                transfer(*connected(there.address, listener))
                datagrams.sendto(b"datagram", (there.address, 9))
                datagrams.sendto(b"datagram", ("127.0.0.1", 9))
                wait_for(lambda: any(length == "50" for length, _ in dumped(theirs)), "tcpdump to write all")
            logs = [end(run) for run in runs]
            assert arrangements(here.interface) == before
    assert all("lost: nothing" in log for log in logs)
    assert Counter(written(ours, here.interface)) == Counter(dumped(theirs))
    assert fields(filtered, "udp.dstport", only="!icmp") == [["9"]]
    assert fields(local, "udp.dstport", only="!icmp") == [["9"]]


def test_filters_of_a_killed_capture(packets, tmp_path):
    """Where there is no tcx, the next capture removes what a killed one has left, and leaves those that run alone; what
    others have at the same place stays.
    """
    with joined() as (here, _), here.entered():
        flags = ("-i", here.interface)
        before = arrangements(here.interface)
        killed = packets(tmp_path / "killed.pcapng", *flags, patch=WITHOUT_TCX)
        killed.process.kill()
        killed.process.wait(PATIENCE)
        assert arrangements(here.interface).count(" handle ") == 2
        runs = [packets(tmp_path / f"{number}.pcapng", *flags, patch=WITHOUT_TCX) for number in range(2)]
        assert arrangements(here.interface).count(" handle ") == 4
        for run in runs:
            end(run)
        assert arrangements(here.interface) == before
