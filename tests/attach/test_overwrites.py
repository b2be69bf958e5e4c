"""Writes into watched files are noticed; other files in their place are not."""

from __future__ import annotations

import select
from contextlib import closing
from pathlib import Path

import pytest

from pellucid.attach.overwrites import Overwrites


@pytest.fixture
def overwrites():
    """Nothing is watched yet."""
    with closing(Overwrites()) as made:
        yield made


@pytest.fixture
def files(tmp_path, overwrites):
    """Two files that are watched, as the targets 1 and 2."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for number, path in enumerate(paths, start=1):
        path.write_bytes(b"before")
        overwrites.watch(path, number)
    return paths


@pytest.mark.parametrize("mode", ["w", "a", "r+"])
def test_a_write(overwrites, files, mode):
    """A file that is written anew, made longer, or changed in place is told once, however many writes there are."""
    with files[1].open(mode, buffering=1) as file:
        file.write("one line\n")
        assert list(overwrites.take()) == [2]
        file.write("another\n")
    assert list(overwrites.take()) == []


def test_what_upgrades_do(overwrites, files, tmp_path):
    """A file that is read, replaced by another one, or removed is left as it is: nothing is told."""
    successor = tmp_path / "three"
    successor.write_bytes(files[0].read_bytes())
    successor.rename(files[0])
    files[1].unlink()
    assert list(overwrites.take()) == []


def test_it_can_be_waited_for(overwrites, files):
    """The descriptor is readable when there is something to take, and only then."""
    assert select.select([overwrites.fd], [], [], 0)[0] == []
    files[0].write_bytes(b"after")
    assert select.select([overwrites.fd], [], [], 0)[0] == [overwrites.fd]


def test_a_file_that_is_gone(overwrites, tmp_path, caplog):
    """A file that cannot be watched is named, with the reason, and does no harm."""
    overwrites.watch(tmp_path / "nothing", 1)
    assert "nothing would not be noticed: No such file" in caplog.text


def test_forgotten(overwrites, files):
    """Of a target that was left no write is told any more, of the other one still."""
    overwrites.forget([1])
    for file in files:
        file.write_text("after")
    assert list(overwrites.take()) == [2]


def test_more_writes_than_the_kernel_remembers(overwrites, tmp_path):
    """When there was no room for all writes, any file may have been written into: all are told, and once only."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    paths = [tmp_path / name for name in ("one", "two", "three")]
    for number, path in enumerate(paths, start=1):
        path.touch()
        overwrites.watch(path, number)
    with paths[0].open("r+b", buffering=0) as one, paths[1].open("r+b", buffering=0) as two:
        for _ in range(most // 2 + 1):  # in turn: a repeated event is not queued twice
            one.write(b"1")
            two.write(b"2")
    told = []
    while select.select([overwrites.fd], [], [], 0)[0]:
        told += overwrites.take()
    assert sorted(told) == [1, 2, 3]
