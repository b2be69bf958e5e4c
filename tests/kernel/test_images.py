"""The kernel's view of mapped files: one file is one image, whatever leads to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.attach.images import Image, Images
from pellucid.errors import PellucidError
from tests.kernel.mounts import overlay
from tests.kernel.processes import state
from tests.kernel.running import wait_for

MAP = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(flush=True); input()"
THREADS = """
import threading, ctypes
threading.Thread(target=lambda: (print(flush=True), input())).start()
ctypes.CDLL(None).pthread_exit(None)
"""
MAP_DEVICE = """
import mmap
zeros = open("/dev/zero", "rb")
area = mmap.mmap(zeros.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
print(flush=True)
input()
"""
CHANGES = """
import mmap, threading
def change():
    while True:
        with mmap.mmap(-1, 1 << 20) as memory:
            memory[0] = 1
for _ in range(4):
    threading.Thread(target=change, daemon=True).start()
print(flush=True)
input()
"""


@pytest.fixture
def images():
    with Images() as loaded:
        yield loaded


@pytest.fixture
def start():
    """`start(*command)` starts a program that has mapped something when it writes a line; it waits then."""
    started = []

    def run(*command):
        process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def of(found: list[Image], name: str) -> Image:
    [image] = [image for image in found if image.display.endswith(name)]
    return image


def mapping_of(pid: int, name: str) -> str:
    """The line of /proc/PID/maps for a file."""
    [line] = [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith(name)]
    return line


def test_mapped_by_two_processes(tls, images, start):
    """A file that two processes have mapped is one image with both of them, and its own path reaches it."""
    one, other = start(sys.executable, "-c", MAP, tls.libssl), start(sys.executable, "-c", MAP, tls.libssl)
    image = of(images.mapped(), str(tls.libssl))
    assert image.pids == tuple(sorted((one.pid, other.pid)))
    assert image.path == tls.libssl
    assert image.key.inode == tls.libssl.stat().st_ino
    assert of(images.mapped(one.pid), str(tls.libssl)) == image._replace(pids=(one.pid,))


def test_not_mapped_yet(tls, images, start):
    """The key of a file that nobody has mapped is that which it has once somebody has."""
    key = images.key(tls.libssl)
    process = start(sys.executable, "-c", MAP, tls.libssl)
    assert of(images.mapped(process.pid), str(tls.libssl)).key == key


def test_two_overlays(tls, tmp_path, images, start):
    """One file below two overlays is one image, though stat() calls it two."""
    with overlay(tls.libssl.parent, tmp_path / "a") as a, overlay(tls.libssl.parent, tmp_path / "b") as b:
        paths = [tls.libssl, a / tls.libssl.name, b / tls.libssl.name]
        assert len({path.stat().st_dev for path in paths}) == 3
        assert len({images.key(path) for path in paths}) == 1
        processes = [start(sys.executable, "-c", MAP, path) for path in paths]
        pids = {process.pid for process in processes}
        [image] = [image for image in images.mapped() if pids & {*image.pids} and "libssl" in image.display]
        assert {*image.pids} == pids
        assert image.path.read_bytes() == tls.libssl.read_bytes()


def test_own_mounts(tls, tmp_path, images, start):
    """A file that only a process's own mounts have is named as the process does, and reached through it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    script = f'mount -t tmpfs none {inside} && cp {tls.libssl} {inside} && exec {sys.executable} -c "$0" "$@"'
    process = start("unshare", "--mount", "sh", "-c", script, MAP, inside / tls.libssl.name)
    image = of(images.mapped(process.pid), "libssl.so.3")
    assert image.display == str(inside / tls.libssl.name)
    assert not (inside / tls.libssl.name).exists()
    assert images.key(image.path) == image.key


@pytest.mark.parametrize("successor", [False, True])
def test_deleted(successor, tls, images, start):
    """A file that was deleted or replaced after it was mapped is reached as the process has it."""
    key = images.key(tls.libssl)
    process = start(sys.executable, "-c", MAP, tls.libssl)
    if successor:
        shutil.copy(tls.libssl, tls.libssl.with_name("new"))
        tls.libssl.with_name("new").rename(tls.libssl)
    else:
        tls.libssl.unlink()
    image = of(images.mapped(process.pid), str(tls.libssl))
    assert image.key == key
    assert image.path.stat().st_ino == key.inode


def test_number_given_again(tls, images):
    """A new file that gets the inode number of a deleted one is another file."""
    before = images.key(tls.libssl)

    def again():
        tls.libssl.unlink()
        tls.libssl.write_bytes(b"another")
        return tls.libssl.stat().st_ino == before.inode

    if not any(again() for _ in range(1000)):
        pytest.skip("this file system does not give the number of a deleted file again")
    assert images.key(tls.libssl) != before


def test_first_thread_has_ended(tls, images, start):
    """A process whose first thread has ended still counts, once."""
    process = start(sys.executable, "-c", THREADS)
    wait_for(lambda: state(process.pid) == "", "the first thread to end")
    image = of(images.mapped(process.pid), "libc.so.6")
    assert image.pids == (process.pid,)


def test_processes_that_vanish(images, start):
    """Looking while programs begin and end is no error, and those that stay are always seen."""
    storm = start("sh", "-c", "echo; while :; do /bin/true; done")
    for _ in range(50):
        assert of(images.mapped(storm.pid), "libc.so.6").pids == (storm.pid,)
        assert {storm.pid, os.getpid()} <= {*of(images.mapped(), "libc.so.6").pids}


@pytest.mark.parametrize("what", ["nothing", "", "empty", "fifo"])
def test_no_file(what, tmp_path, images):
    """What is no file with content has no key: one line says so."""
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(PellucidError, match=f"^cannot look at {tmp_path / what}: "):
        images.key(tmp_path / what)


def test_devices_are_no_images(images, start):
    """A device that a process has mapped for execution is not among its files: nobody will open it."""
    process = start(sys.executable, "-c", MAP_DEVICE)
    assert " r-xp 00000000 00:" in mapping_of(process.pid, "/dev/zero")
    mapped = images.mapped(process.pid)
    assert of(mapped, "libc.so.6")
    assert "/dev/zero" not in {image.display for image in mapped}


def test_pid_namespace(tls):
    """In a pid namespace only its own processes are seen, by the numbers that they have there."""
    script = """
import os, subprocess, sys
from pellucid.attach.images import Images
with Images() as images:
    pids = {pid for image in images.mapped() for pid in image.pids}
    assert pids == {int(name) for name in os.listdir("/proc") if name.isdigit()}, pids
    assert os.getpid() in pids and os.getpid() < 10
    assert images.mapped(os.getpid()) and images.key(sys.argv[1])
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script, tls.libssl]
    subprocess.run(command, check=True)


def test_memory_that_changes_meanwhile(images, start):
    """Looking at a process comes to an end, with each of its areas once, also while its other threads map and unmap."""
    process = start(sys.executable, "-c", CHANGES)
    expected = [area for area in images.areas() if area.pid == process.pid]
    for _ in range(5_000):
        assert images.areas(process.pid) == [area._replace(tid=process.pid) for area in expected]
