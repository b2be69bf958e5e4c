"""What Wireshark makes of a file."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def tshark(file: Path, *words: str) -> list[str]:
    """The lines that it shows; it has nothing to complain of."""
    assert shutil.which("tshark"), "tshark is missing: apt-get install tshark"
    run = subprocess.run(["tshark", "-r", file, *words], capture_output=True, text=True, check=True)
    assert "cut short" not in run.stderr
    return run.stdout.splitlines()


def fields(file: Path, *names: str, only: str = "frame") -> list[list[str]]:
    """These fields of the packets that a display filter finds."""
    words = [word for name in names for word in ("-e", name)]
    return [line.split("\t") for line in tshark(file, "-Y", only, "-T", "fields", *words)]


def followed(file: Path, stream: int = 0) -> dict[bool, bytes]:
    """What `Follow TCP Stream` shows of each direction; true is the client's."""
    lines = tshark(file, "-q", "-z", f"follow,tcp,raw,{stream}")
    hexed = [line for line in lines if line.strip() and set(line.strip()) <= set("0123456789abcdef")]
    sides = {
        client: bytes.fromhex("".join(line.strip() for line in hexed if line.startswith("\t") != client))
        for client in (True, False)
    }
    assert any(sides.values()), lines
    return sides
