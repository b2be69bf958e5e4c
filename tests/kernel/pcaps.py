"""Captures of packets, as tests start and end them, and what others see of the same packets."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kernel.inside import SYS_BPF, libc
from tests.kernel.running import PATIENCE, Capture
from tests.wireshark import tshark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kernel.running import Tls

often = pytest.mark.parametrize("runs", [5, pytest.param(50, marks=pytest.mark.long)])
"""How often each program runs."""

BPF_PROG_QUERY, TCX_INGRESS, TCX_EGRESS = 16, 46, 47  # linux/bpf.h

WITHOUT_TCX, WITHOUT_TC = (
    "from functools import partial; from pellucid.attach.packets import hooks, networks; "
    f"networks.PacketHooks = partial(hooks.PacketHooks, ways=tuple(hooks.Way)[{skipped}:])"
    for skipped in (1, 2)
)
"""`patch` for captures: what is left on older kernels."""


def started(
    tls: Tls, folder: Path, file: Path, *flags: str, libssl: Path | None = None, patch: str = ""
) -> Capture:
    """A capture of packets and of the private library's secrets, where this thread is.

    `patch` is Python that runs before it, to take away what the kernel has.
    """
    words = [sys.executable, "-c", f"{patch}\nfrom pellucid.cli import main\nmain()", "tls", "-m", "pcap"]
    words += ["-w", str(file), "--libssl", str(libssl or tls.libssl), *flags, "-o", f"json:{file}.ndjson"]
    return Capture(words, folder / f"{file.name}.run").wait_until_ready()


def end(run: Capture) -> str:
    """End it as a user does; its log."""
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(PATIENCE) == 0, run.log.read_text()
    return run.log.read_text()


@contextmanager
def tcpdump(interface: str, file: Path) -> Iterator[None]:
    """What tcpdump writes of an interface, whole when this ends."""
    assert shutil.which("tcpdump"), "tcpdump is missing: apt-get install tcpdump"
    command = ["tcpdump", "-i", interface, "-w", file, "-B", "16384", "--immediate-mode", "-U", "-Z", "root"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr
            assert b"listening on" in process.stderr.readline()
            yield
        finally:
            process.terminate()
            said = process.stderr.read().decode() if process.stderr else ""
    assert "0 packets dropped by kernel" in said


def dumped(file: Path) -> list[tuple[str, str]]:
    """The length of each packet that tcpdump has written whole, and the hash of its bytes (pcap-savefile(5))."""
    data, at, found = file.read_bytes(), 24, []
    while at + 16 <= len(data):
        _, _, captured, length = struct.unpack_from("<4I", data, at)
        if at + 16 + captured > len(data):
            break
        found.append((str(length), hashlib.md5(data[at + 16 : at + 16 + captured]).hexdigest()))
        at += 16 + captured
    return found


def written(file: Path, interface: str) -> list[tuple[str, str]]:
    """The same of our file, as tshark reads it."""
    return hashes(file, f'frame.interface_name == "{interface}"')


def hashes(file: Path, only: str) -> list[tuple[str, str]]:
    """The same of the packets that a display filter finds in any file."""
    words = ["-o", "frame.generate_md5_hash:TRUE", "-Y", only, "-T", "fields"]
    lines = tshark(file, *words, "-e", "frame.cap_len", "-e", "frame.md5_hash")
    return [(length, digest) for length, digest in (line.split("\t") for line in lines)]


def counted(interface: str) -> int:
    """Packets that the interface itself has counted, both ways."""
    folder = f"/sys/class/net/{interface}/statistics"
    words = ["cat", f"{folder}/rx_packets", f"{folder}/tx_packets"]
    # sysfs shows the namespace in which it was mounted
    script = ["unshare", "-m", "sh", "-c", f"mount -t sysfs none /sys && {' '.join(words)}"]
    return sum(map(int, subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()))


def programs_at(interface: str) -> list[int]:
    """How many programs tcx runs at the interface, in and out."""
    counts = []
    for kind in (TCX_INGRESS, TCX_EGRESS):
        request = ctypes.create_string_buffer(
            struct.pack("<II16xI36x", socket.if_nametoindex(interface), kind, 0), 64
        )
        assert libc.syscall(SYS_BPF, BPF_PROG_QUERY, request, 64) == 0
        counts.append(struct.unpack_from("<I", request, 24)[0])
    return counts


def arrangements(interface: str) -> str:
    """Queues and filters there, as tc shows them."""
    ways = (["filter", "show", "dev", interface, way] for way in ("ingress", "egress"))
    shown = [["qdisc", "show", "dev", interface], *ways]
    return "\n".join(
        subprocess.run(["tc", *words], capture_output=True, text=True, check=True).stdout for words in shown
    )


def ip(*words: str) -> None:
    """iproute2's, in this thread's namespace."""
    subprocess.run(["ip", *words], check=True, capture_output=True)
