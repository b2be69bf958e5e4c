"""What tcpdump has of an interface, and what our file has, packet for packet."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.wireshark import tshark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
