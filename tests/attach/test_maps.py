"""What processes have mapped, by /proc/PID/maps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pellucid.attach.maps import Maps
from pellucid.errors import PellucidError

LOAD = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print(flush=True); input()"


def test_each_file_once_with_its_processes(library):
    """A file that two processes have mapped is one image with both, and its path reaches it."""
    path = library("int x(void) { return 1; }", name="library with spaces.so")
    command = [sys.executable, "-c", LOAD, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as two:
        for process in (one, two):
            process.stdout.readline()
        [image] = [image for image in Maps().mapped() if image.display == str(path)]
        assert image.pids == tuple(sorted((one.pid, two.pid)))
        assert (image.key, image.path.samefile(path)) == (Maps().key(path), True)
        assert str(path) in {image.display for image in Maps().mapped(one.pid)}
        for process in (one, two):
            process.communicate(b"\n")


def test_process_that_is_gone():
    """A process that has ended has mapped nothing."""
    assert Maps().mapped(99999999) == []


def test_missing_file(tmp_path):
    """The key of a file that does not exist is refused by one line."""
    with pytest.raises(PellucidError, match=r"cannot look at .*nothing: No such file"):
        Maps().key(tmp_path / "nothing")
