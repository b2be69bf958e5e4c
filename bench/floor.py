"""The floor of `make bench`: empty programs of the same kinds at the same places, until SIGINT.

    python bench/floor.py tls|postgres|mysqld FILE READY_FILE

What a capture costs above this is ours; what is below is the kernel's, for hitting the probes at all.
"""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.cgroups import cgroup, root
from pellucid.attach.images import Images
from pellucid.attach.loader import (
    CLOSES,
    FORKS,
    SOCKET_TRACEPOINTS,
    TRACEPOINTS,
    attach_points,
    find_points,
    find_sites,
)
from pellucid.attach.plain import at_sockets
from pellucid.attach.points import PROGRAMS
from pellucid.attach.targets import named_target
from pellucid.libbpf import BpfObject, Link, attach_cgroup, attach_raw_tracepoint, has_uprobe_multi
from pellucid.plugins import PROBES
from pellucid.plugins import load as load_plugins

if TYPE_CHECKING:
    from pellucid.attach.library import Library

HERE = Path(__file__).parent


def load(folder: Path) -> BpfObject:
    """The empty programs, compiled and loaded."""
    path = folder / "empty.bpf.o"
    arch = {"x86_64": "x86", "aarch64": "arm64"}[platform.machine()]
    includes = [f"-I{HERE.parent / 'bpf'}", f"-I/usr/include/{platform.machine()}-linux-gnu"]
    command = ["clang", "-target", "bpf", "-O2", "-g", f"-D__TARGET_ARCH_{arch}", *includes]
    subprocess.run([*command, "-c", HERE / "empty.bpf.c", "-o", path], check=True)
    loaded = BpfObject(path)
    if has_uprobe_multi():
        for name in PROGRAMS:
            loaded.program(name).for_uprobe_multi()
    loaded.load()
    return loaded


def attach(programs: BpfObject, library: Library, file: Path) -> list[Link]:
    """Everything that `pellucid tls --libssl FILE` and its like attach, in their order."""
    everywhere = [*TRACEPOINTS, *SOCKET_TRACEPOINTS]
    if library.plain:
        everywhere += [FORKS] if library.own_process else [FORKS, CLOSES]
    links = [attach_raw_tracepoint(programs.program(name), where) for name, where in everywhere]
    with cgroup(root() if library.handshakes else None) as fd:
        if fd is not None:
            links.append(attach_cgroup(programs.program("hello_sent"), fd))
    with Images() as images:
        target = named_target(library, images, file)
    library = at_sockets(target, library) or library
    points = find_points(target, library, find_sites(target, library))
    nowhere = [0] * len(points)
    links += attach_points(programs, file, points, nowhere, pid=0, multi=has_uprobe_multi())
    return links


def main() -> None:
    """Attach, say so, and wait."""
    library = load_plugins(PROBES)[{"tls": "openssl"}.get(sys.argv[1], sys.argv[1])]
    file, ready = map(Path, sys.argv[2:])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    with tempfile.TemporaryDirectory() as folder:
        links = attach(load(Path(folder)), library, file)
        ready.touch()
        signal.sigwait([signal.SIGINT])
        for link in links:
            link.close()


if __name__ == "__main__":
    main()
