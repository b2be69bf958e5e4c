"""Packets of processes in other network namespaces, as containers have them, captured from outside."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.cgroups import root
from tests.kernel.networks import alone, joined
from tests.kernel.pcaps import (
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
from tests.kernel.running import wait_for
from tests.kernel.servers import HELLO, Nginx
from tests.shell import only_line
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.networks import Network

pytestmark = pytest.mark.kernel

PORT = 6789
"""Of every datagram, at both ends."""
NOBODY = 65534


class Guest:
    """A process in a namespace that sends itself datagrams when it is told."""

    def __init__(self, network: Network | None, group: Path) -> None:
        self._ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._ours.close()
            move(os.getpid(), group)
            with ExitStack() as entered:
                if network is not None:
                    entered.enter_context(network.entered())
                theirs.send(b"!")
                _serve(theirs)
            os._exit(0)
        theirs.close()
        assert self._ours.recv(1) == b"!"

    def send(self, size: int, address: str = "127.0.0.1") -> None:
        """Have it make a socket, and send a datagram of so many bytes from there to there."""
        self._ours.send(f"{size} {address}".encode())
        assert self._ours.recv(1) == b"!"

    def end(self) -> None:
        """End it."""
        self._ours.close()
        assert os.waitpid(self.pid, 0)[1] == 0


def _serve(orders: socket.socket) -> None:
    while words := orders.recv(100):
        size, address = words.decode().split()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind((address, PORT))
            datagrams.sendto(bytes(int(size)), (address, PORT))
        orders.send(b"!")


@pytest.fixture
def guest(group: Path) -> Iterator[Callable[..., Guest]]:
    """`guest(network)` starts a process of the group there, which ends with the test."""
    with ExitStack() as guests:

        def start(network: Network | None) -> Guest:
            started = Guest(network, group)
            guests.callback(started.end)
            return started

        yield start


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup with the name that Docker gives a container's; nobody is left in it when the test ends."""
    folder = (root() or Path("/")) / f"docker-{os.urandom(32).hex()}.scope"
    folder.mkdir()
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text(), "the processes of the group to end")
    folder.rmdir()


def move(pid: int, group: Path) -> None:
    """Have a process be in a cgroup."""
    (group / "cgroup.procs").write_text(str(pid))


def number_of(network: Network) -> int:
    """The kernel's number for a namespace."""
    return Path(f"/run/netns/{network.name}").stat().st_ino


def seen(file: Path) -> Counter[tuple[str, str, int]]:
    """Of each datagram where it was seen, by description and name, and how many bytes it brings."""
    rows = fields(
        file, "frame.interface_description", "frame.interface_name", "udp.length", only="udp && !icmp"
    )
    return Counter((description, name, int(length) - 8) for description, name, length in rows)


@pytest.mark.parametrize("flag", ["--pid", "--cgroup_path", "--container"])
def test_nginx_in_a_network_of_its_own(pcap, programs, group, tls, tmp_path, flag):
    """Of an nginx whose network is its own, a capture from outside has what tcpdump has inside, packet for packet, and tshark
    decrypts it; the file says whose network it is, and nothing is left there afterwards.
    """
    ours, theirs = tmp_path / "ours.pcapng", tmp_path / "theirs.pcap"
    with alone() as there:
        with there.entered():
            (tmp_path / "nginx").mkdir()
            nginx = Nginx(programs, tls, tmp_path / "nginx")
        for pid in nginx.pids():
            move(pid, group)
        words = {
            "--pid": ("--pid", str(nginx.pids()[0]), "--follow"),
            "--cgroup_path": ("--cgroup_path", str(group)),
            "--container": ("--container", group.name.removeprefix("docker-")[:12]),
        }[flag]
        run = pcap(ours, *words)
        with there.entered():
            assert programs_at("lo") == [1, 1]
            with tcpdump("lo", theirs):
                before = counted("lo")
                answers = [programs.run("curl", "-sk", nginx.url).stdout.decode() for _ in range(3)]
                wait_for(lambda: 2 * len(dumped(theirs)) == counted("lo") - before, "tcpdump to write all")
        log, described = (
            end(run),
            f"network namespace {number_of(there)} of process {nginx.pids()[0]} (nginx)",
        )
        with there.entered():
            assert programs_at("lo") == [0, 0]
        nginx.stop()
    assert answers == [HELLO] * 3
    assert "lost: nothing" in log
    assert Counter(written(ours, "lo")) == Counter(dumped(theirs))
    assert fields(ours, "http.response.code", only="http.response") == [["200"]] * 3
    assert fields(ours, "frame.interface_description", only="http.request") == [[described]] * 3


def test_several_networks(pcap, guest, group, tmp_path):
    """Of processes in several networks, ours among them, each packet is shown where it was, though interfaces have the same
    number and name, and the packets the same addresses and ports.
    """
    ours = tmp_path / "ours.pcapng"
    with alone() as one, joined() as (other, _):
        guests = [guest(network) for network in (one, other, None)]
        run = pcap(ours, "--cgroup_path", str(group))
        for size, each in enumerate(guests, 100):
            each.send(size)
        descriptions = [
            f"network namespace {number_of(network)} of process {each.pid} ("
            for network, each in zip((one, other), guests, strict=False)
        ]
        assert "3 packets are written; lost: nothing" in end(run)
    found = sorted(seen(ours), key=lambda each: each[2])
    assert [(name, size) for _, name, size in found] == [("lo", 100), ("lo", 101), ("lo", 102)]
    assert [
        description[: len(wanted)]
        for (description, _, _), wanted in zip(found, [*descriptions, ""], strict=True)
    ] == [
        *descriptions,
        "",
    ]


def test_a_network_that_turns_up(pcap, guest, group, tmp_path):
    """A network in which a process of the group has a socket for the first time is watched from then on, and the log says so;
    it is left when nobody is there any more, so that it can end.
    """
    ours, late = tmp_path / "ours.pcapng", f"pellucid-late-{os.getpid()}"
    with alone() as one:
        guest(one)
        run = pcap(ours, "-d", "--cgroup_path", str(group))
        subprocess.run(["ip", "netns", "add", late], check=True)
        try:
            for words in (
                ("-n", late, "link", "set", "lo", "up"),
                (
                    "link",
                    "add",
                    "here",
                    "netns",
                    late,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "there",
                    "netns",
                    one.name,
                ),
            ):
                subprocess.run(["ip", *words], check=True)
            newcomer = Guest(one._replace(name=late), group)
            newcomer.send(7)
            wait_for(lambda: "are captured from now on" in run.log.read_text(), "the new one to be watched")
            newcomer.send(99)
            newcomer.end()
        finally:
            subprocess.run(["ip", "netns", "delete", late], check=True)
        with one.entered():
            wait_for(lambda: "there" not in dict(map(reversed, socket.if_nameindex())), "the network to end")
        log = end(run)
    assert "is watched no more" in log
    assert {size for _, _, size in seen(ours)} - {7} == {99}


def test_names_are_of_that_network(pcap, guest, tls, tmp_path):
    """`-i` names an interface of the process's network; one that only we have is refused, with the way to see theirs,
    before any file is made.
    """
    ours = tmp_path / "ours.pcapng"
    with joined() as (here, _):
        process = guest(here)
        run = pcap(ours, "--pid", str(process.pid), "-i", here.interface)
        with here.entered():
            assert programs_at("lo") == [0, 0]
            assert programs_at(here.interface) == [1, 1]
        end(run)
        own = next(name for _, name in socket.if_nameindex() if name != "lo")
        refused = subprocess.run(
            [sys.executable, "-m", "pellucid", "tls", "-m", "pcap", "--libssl", tls.libssl, "-w", tmp_path / "none",
             "--pid", str(process.pid), "-i", own],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert only_line(refused, 1) == (
        f"there is no network interface {own}: see `nsenter -t {process.pid} -n ip link`"
    )
    assert not (tmp_path / "none").exists()


def bound_by_nobody(name: str) -> socket.socket:
    """A socket of this name, which a user without rights has made."""
    os.seteuid(NOBODY)
    try:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bound.bind(name)
    finally:
        os.seteuid(0)
    return bound


def test_filters_of_a_killed_capture(pcap, guest, tmp_path):
    """Where there is no tcx, filters are those of the process's network; one that was killed leaves them there, and the next
    one removes them, though a user without rights holds the name that the killed one had.
    """
    with alone() as there:
        process = guest(there)
        words = ("--pid", str(process.pid))
        with there.entered():
            before = arrangements("lo")
        killed = pcap(tmp_path / "killed.pcapng", *words, patch=WITHOUT_TCX)
        killed.kill()
        with there.entered():
            [handle] = set(re.findall(r"handle (0x[0-9a-f]+)", arrangements("lo")))
            squatter = bound_by_nobody(f"\0pellucid-clsact-{int(handle, 16) & 0x7FFFF}")
        with squatter:
            run = pcap(tmp_path / "ours.pcapng", *words, patch=WITHOUT_TCX)
            process.send(55)
            end(run)
        with there.entered():
            assert arrangements("lo") == before
    assert {size for _, _, size in seen(tmp_path / "ours.pcapng")} == {55}


VETH = ("link", "add", "veth7", "index", "77", "type", "veth", "peer", "name", "veth8")
UP = ("link", "set", "veth7", "up")


def test_the_number_of_another_interface(pcap, guest, tmp_path):
    """An interface that is removed and made again with the same number and name, while the capture does not look, is attached
    to again.
    """
    ours = tmp_path / "ours.pcapng"
    with alone() as there:
        process = guest(there)
        with there.entered():
            for words in (VETH, UP):
                ip(*words)
            run = pcap(ours, "-d", "--pid", str(process.pid), "-i", "veth7")
            os.kill(run.process.pid, signal.SIGSTOP)
            for words in (("link", "delete", "veth7"), VETH, UP):
                ip(*words)
            os.kill(run.process.pid, signal.SIGCONT)
            wait_for(lambda: programs_at("veth7") == [1, 1], "the new one to be attached to")
        wait_for(lambda: run.log.read_text().count("watching packets of veth7") == 2, "the log to say so")
        end(run)


def test_a_network_that_is_gone(pcap, guest, group, tmp_path):
    """Of a process that was in a network of its own, and has ended before anybody could look, the log says that its packets are
    missing.
    """
    with alone() as here:
        guest(here)
        run = pcap(tmp_path / "ours.pcapng", "--cgroup_path", str(group))
        os.kill(run.process.pid, signal.SIGSTOP)
        with alone("gone") as gone:
            number, short = number_of(gone), Guest(gone, group)
            short.send(1)
            short.end()
        os.kill(run.process.pid, signal.SIGCONT)
        said = f"packets of process {short.pid} in network namespace {number}, of which nothing was known, are missing"
        wait_for(lambda: said in run.log.read_text(), "the log to say so")
        end(run)


def test_nothing_is_left_of_a_killed_capture(pcap, guest, tmp_path):
    """After `kill -9` nothing is attached in the process's network any more."""
    with joined() as (here, _):
        run = pcap(tmp_path / "ours.pcapng", "--pid", str(guest(here).pid))
        with here.entered():
            assert programs_at(here.interface) == [1, 1]
            run.kill()
            wait_for(lambda: programs_at(here.interface) == [0, 0], "the programs to be gone")


def test_a_program_that_begins(pcap, guest, group, tmp_path):
    """A network is watched as soon as a program of the group begins there, so that the first packet is in the file already."""
    ours = tmp_path / "ours.pcapng"
    with alone() as one, alone("late") as late:
        guest(one)
        run = pcap(ours, "--cgroup_path", str(group))
        words = ["sh", "-c", f"echo $$ > {group}/cgroup.procs; exec ip netns exec {late.name} cat"]
        with subprocess.Popen(words, stdin=subprocess.PIPE) as program:
            wait_for(lambda: "are captured from now on" in run.log.read_text(), "the network to be watched")
            guest(late).send(42)
            program.terminate()
        end(run)
    assert {size for _, _, size in seen(ours)} == {42}
