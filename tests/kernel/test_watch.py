"""New executable mappings come from the kernel as they are made."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from pellucid.attach.images import Images
from pellucid.attach.watch import Mapping, Missed, Watch
from tests.kernel.mounts import overlay
from tests.kernel.running import PATIENCE, wait_for

LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"


@pytest.fixture
def watch():
    with Watch() as opened:
        yield opened


def mappings(watch, process):
    """What a process has mapped, once it has ended."""
    assert process.wait(PATIENCE) == 0
    return [new for new in watch.take() if isinstance(new, Mapping) and new.area.pid == process.pid]


def test_exec_and_dlopen(tls, watch):
    """The program, its linker and what it loads later are told of, each with the key of its file."""
    process = subprocess.Popen([sys.executable, "-c", LOAD, tls.libssl])
    found = {new.name: new.area.key for new in mappings(watch, process)}
    with Images() as images:
        assert found[str(tls.libssl)] == images.key(tls.libssl)
    assert any("ld-linux" in name for name in found)
    assert any("python" in name for name in found)


def test_ready(watch, tls):
    """The descriptor becomes readable by itself when something is mapped."""
    process = subprocess.Popen([sys.executable, "-c", LOAD, tls.libssl])
    poll = select.poll()
    poll.register(watch.fileno(), select.POLLIN)

    def told():
        assert poll.poll(PATIENCE * 1000), "nothing became readable"
        return any(new.name == str(tls.libssl) for new in watch.take())

    wait_for(told, "the mapping")
    assert process.wait(PATIENCE) == 0


def test_overlay(tls, tmp_path, watch):
    """The key told of a file on an overlay is that of the file below, or not said to be proven."""
    with overlay(tls.libssl.parent, tmp_path / "a") as merged, Images() as images:
        path = merged / tls.libssl.name
        process = subprocess.Popen([sys.executable, "-c", LOAD, path])
        [new] = [new for new in mappings(watch, process) if new.name == str(path)]
        assert new.area.key == images.key(tls.libssl) or not new.proven


def test_too_many(watch):
    """When more is mapped than there is room for, that is said, and what comes later is told of again."""
    one = str(min(os.sched_getaffinity(0)))  # each CPU has room of its own
    storm = "i=0; while [ $i -lt 800 ]; do /bin/true; i=$((i + 1)); done"
    subprocess.run(["taskset", "--cpu-list", one, "sh", "-c", storm], check=True)
    assert Missed() in list(watch.take())
    process = subprocess.Popen(["/bin/true"])
    assert any(new.name.endswith("/true") for new in mappings(watch, process))


def test_other_namespaces():
    """In a pid namespace nothing is told of processes outside, which have no number there."""
    script = """
import os, select, subprocess, sys
from pellucid.attach.watch import Watch
with Watch() as watch:
    print("watching", flush=True)
    input()
    inside = subprocess.Popen(["/bin/true"])
    inside.wait()
    assert {new.area.pid for new in watch.take()} == {inside.pid}
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
        watcher.stdout.readline()
        subprocess.run(["/bin/true"], check=True)
        watcher.communicate(b"\n", PATIENCE)
    assert watcher.returncode == 0
