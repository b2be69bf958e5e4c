"""Programs in other roots, as containers have them, are watched by the library that they have inside."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pellucid.attach.cgroups import root as cgroup_root
from tests.kernel.inside import call
from tests.kernel.machine import CLONE_NEWNS, MS_PRIVATE, MS_REC
from tests.kernel.packages import debian_suite
from tests.kernel.running import PATIENCE, free_port, http, wait_for, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MS_BIND, MNT_DETACH = 0x1000, 2  # linux/mount.h
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]

CONTAINER = secrets.token_hex(32)
LIBSSL = "usr/lib/x86_64-linux-gnu/libssl.so.3"


class Root(NamedTuple):
    """A file system with openssl, and the cgroup that an engine would put its programs into."""

    folder: Path
    cgroup: Path

    def enter(self) -> None:
        """Join the cgroup; the programs are started in the root by the caller."""
        (self.cgroup / "cgroup.procs").write_text("0")

    def chroot(self) -> None:
        """Have this root, in the mounts of everybody."""
        self.enter()
        os.chroot(self.folder)
        os.chdir("/")

    def pivot(self) -> None:
        """Have this root and no other, in mounts of one's own, as containers do (pivot_root(2))."""
        self.enter()
        call("unshare", CLONE_NEWNS)
        call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        path = os.fsencode(self.folder)
        call("mount", path, path, None, MS_BIND, None)
        os.chdir(self.folder)
        call("syscall", ctypes.c_long(SYS_PIVOT_ROOT), b".", b".")
        call("umount2", b".", MNT_DETACH)


@pytest.fixture
def root(tls, tmp_path) -> Iterator[Root]:
    """The next Debian, of which there is just what openssl needs."""
    folder = tmp_path / "root"
    files = debian_suite("trixie", "openssl", "libssl3t64", "libc6", "zlib1g", "libzstd1")
    shutil.copytree(files / "usr", folder / "usr", symlinks=True, ignore=lambda *_: {"share", "gconv"})
    for name in ("lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    for file in (tls.cert, tls.key):
        shutil.copy(file, folder)
    cgroup = cgroup_root() / f"docker-{CONTAINER}.scope"
    cgroup.mkdir()
    yield Root(folder, cgroup)
    wait_for(lambda: not (cgroup / "cgroup.procs").read_text(), "the programs to end")
    cgroup.rmdir()


@pytest.mark.parametrize("way", ["chroot", "pivot"])
def test_openssl(way, everything, root, tls):
    """s_server and s_client of another release in another root, and in mounts of their own, are both seen, with the
    container that they are in; `targets` lists the library with its processes, by the name that leads to it.
    """
    enter = {"chroot": root.chroot, "pivot": root.pivot}[way]
    name = f"{root.folder if way == 'chroot' else ''}/{LIBSSL}"

    def act(programs, capture):
        port = free_port()
        openssl, inside = "/usr/bin/openssl", {"preexec_fn": enter, "env": {}}
        keys = ("-cert", tls.cert.name, "-key", tls.key.name)
        server = programs.start(openssl, "s_server", "-accept", port, "-www", *keys, **inside)
        wait_for_port(port)
        wait_for(lambda: f"watching {name} (" in capture.log.read_text(), f"a probe on {name}")
        client = subprocess.Popen(
            [openssl, "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **inside,
        )  # fmt: skip
        answer, _ = client.communicate(b"GET /inside HTTP/1.0\r\n\r\n", PATIENCE)
        words = [sys.executable, "-m", "pellucid", "targets", "--json"]
        rows = subprocess.run(words, check=True, capture_output=True).stdout.splitlines()
        return answer.decode(), f"127.0.0.1:{port}", server.pid, [json.loads(row) for row in rows]

    (answer, address, server, rows), messages = everything(act)
    at_client, at_server = http(messages, "client"), http(messages, "server")
    for exchange in at_client + at_server:
        assert (exchange["request"]["url"], exchange["dst"]) == ("/inside", address)
        assert exchange["response"]["body"] == answer.partition("\r\n\r\n")[2]
        assert exchange["container"] == CONTAINER
    assert len(at_client) == len(at_server) == 1
    assert messages[-1]["lost"] == {}
    inside = [row for row in rows if any(user["container"] == CONTAINER for user in row["processes"])]
    (row,) = [row for row in inside if row["path"] == name]  # the host's own may have the same name
    assert row["processes"] == [{"pid": server, "comm": "openssl", "container": CONTAINER}]
    assert row["version"].startswith("OpenSSL 3.5.")
