"""Compiles what the tests of the binding load: BPF objects as the build makes them, and a function to probe."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
_BPF = Path(__file__).parents[2] / "bpf"
_ARCH = {"x86_64": "x86", "aarch64": "arm64"}


def bpf_object(name: str, folder: Path) -> Path:
    """`NAME.bpf.c` of this folder as an object in `folder`."""
    machine, path = platform.machine(), folder / f"{name}.bpf.o"
    subprocess.run(
        ["clang", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror",
         f"-D__TARGET_ARCH_{_ARCH[machine]}", f"-I{_BPF}", f"-I/usr/include/{machine}-linux-gnu",
         "-c", FOLDER / f"{name}.bpf.c", "-o", path],
        check=True,
    )  # fmt: skip
    return path


def emit_library(folder: Path) -> Path:
    """A shared library with the function `emit`."""
    path = folder / "libemit.so"
    command = ["gcc", "-O1", "-Wall", "-Werror", "-fPIC", "-shared", FOLDER / "emit.c", "-o", path]
    subprocess.run(command, check=True)
    return path
