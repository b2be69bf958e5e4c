"""Between the look at a file and the probes in it everything may happen to the file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.kernel.puppets import Puppet
from tests.kernel.running import PATIENCE, wait_for
from tests.kernel.test_arrivals import texts, watched

REPLACED = """
import os
from pellucid import commands
find = commands.find_targets
def and_then(*words):
    found = find(*words)
    os.rename({new!r}, {path!r})
    return found
commands.find_targets = and_then
"""
"""An upgrade just after the file was examined."""

NO_FIELDS = """
from pellucid.attach import attacher
from pellucid.errors import PellucidError
def fail(found):
    raise PellucidError("a strange file")
attacher.find_fields = fail
"""

INSTALLED = """
from pathlib import Path
from pellucid.attach import attacher, targets
targets.installed = lambda: [Path({bad!r}), Path({good!r})]
find = attacher.find_sites
def refuse(found, *words, **options):
    if found.display == {bad!r}:
        raise attacher.PellucidError("no place for a probe")
    return find(found, *words, **options)
attacher.find_sites = refuse
"""
"""Two libraries in the linker's cache, one of which cannot be attached to."""


@pytest.fixture
def library(fake_ssl, tmp_path):
    """A library, and beside it what it is replaced by."""
    library = tmp_path / "libfake.so"
    shutil.copy(fake_ssl, library)
    shutil.copy(fake_ssl, tmp_path / "new")
    return library


def installed(log):
    """How many targets there were at the beginning."""
    told = re.search(r"watching (\d+) target", log)
    return int(told[1]) if told else 0


def replaced(library):
    return REPLACED.format(new=str(library.with_name("new")), path=str(library))


def test_a_named_file_is_replaced(library):
    """What was examined in one file is not attached to in another: one line says so, and nothing is watched."""
    script = f"{replaced(library)}\nfrom pellucid.cli import main\nmain()"
    command = [sys.executable, "-c", script, "tls", "--libssl", library]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert answer.returncode == 1
    assert answer.stderr == f"pellucid: {library} was replaced while the capture began: start it again\n"


def test_the_library_of_a_process_is_replaced(library, programs, capture):
    """A process goes on with the file that it has, and that one is watched, whatever has its name."""
    with Puppet(programs, library, "write(1, b'old'); pause()") as puppet:
        run = capture("--pid", str(puppet.pid), libssl=None, patch=replaced(library))
        puppet.step()
        puppet.end()
        assert texts(run.ended()) == ["old"]
    assert f"{library} was replaced" in run.log.read_text()


def test_a_library_that_is_only_installed(everything, library, tmp_path, fake_ssl):
    """One library that cannot be watched does not keep the others, nor the capture, from it."""
    good = tmp_path / "libgood.so"
    shutil.copy(fake_ssl, good)

    def act(programs, capture):
        with Puppet(programs, good, "write(1, b'good')") as puppet:
            puppet.end()
        return capture.log.read_text()

    log, messages = everything(act, patch=INSTALLED.format(bad=str(library), good=str(good)))
    assert texts(messages) == ["good"]
    assert f"{library} is not watched: no place for a probe" in log


def test_facts_are_optional(everything, library, tmp_path, fake_ssl):
    """Where nothing can be known of sessions, text is seen all the same, and the file is attached to once."""
    other = tmp_path / "libother.so"
    shutil.copy(fake_ssl, other)

    def act(programs, capture):
        for _ in range(3):
            with Puppet(programs, other, "pause(); write(1, b'seen')") as puppet:
                puppet.step()
                watched(capture, other)
                puppet.end()
        log = capture.log.read_text()
        return log.count(f"watching {other} "), installed(log)

    (times, before), messages = everything(act, patch=NO_FIELDS)
    assert texts(messages) == ["seen"] * 3
    assert times == 1
    assert messages[-1]["targets"] == before + 1


def test_overwritten_and_used_again(everything, library, fake_ssl):
    """A file that was written into is watched again in the next program that begins to use it, and counted again."""

    def act(programs, capture):
        with Puppet(programs, library, "pause(); write(1, b'before')") as puppet:
            puppet.step()
            watched(capture, library)
            puppet.end()
        with library.open("r+b") as file:
            file.write(fake_ssl.read_bytes())
        wait_for(
            lambda: "until another program begins to use it" in capture.log.read_text(), "the probes to go"
        )
        with Puppet(programs, library, "pause(); write(1, b'after')") as puppet:
            puppet.step()
            wait_for(lambda: capture.log.read_text().count(f"watching {library} ") == 2, "new probes")
            puppet.end()

    _, messages = everything(act)
    assert texts(messages) == ["after", "before"]
