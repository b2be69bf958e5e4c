"""Directories of cgroup v2, from what the kernel says of mounts and processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pellucid.attach import machine
from pellucid.attach.cgroups import cgroup_of, root

HYBRID = """\
29 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755
30 29 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
31 29 0:28 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,name=systemd
"""


@pytest.fixture
def mounted(monkeypatch, tmp_path):
    """`mounted(text)` makes this what the kernel says of mounts."""
    monkeypatch.setattr(machine, "MOUNTS", tmp_path / "mountinfo")
    return machine.MOUNTS.write_text


def test_version_2_is_found_beside_version_1(mounted):
    """Where both are mounted, the second is meant, wherever it is."""
    mounted(HYBRID)
    assert root() == Path("/sys/fs/cgroup/unified")


def test_no_version_2(mounted):
    """A machine that has only version 1 has no root."""
    mounted(HYBRID.replace("cgroup2", "cgroup"))
    assert root() is None


def test_a_part_of_the_hierarchy(mounted):
    """Where a container has only its own part mounted that is no root; the whole one is, also behind a strange name."""
    part = "28 29 0:27 /docker/c0ffee /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"
    mounted(part)
    assert root() is None
    mounted(part + HYBRID.replace("/unified", "/all\\040of\\134it"))
    assert root() == Path("/sys/fs/cgroup/all of\\it")


def test_a_process_has_a_directory():
    """Our own group's directory lists this process."""
    found = cgroup_of(os.getpid())

    assert root() is None or str(os.getpid()) in (found / "cgroup.procs").read_text().split()


def test_a_process_that_has_ended():
    """One that is gone has none."""
    assert cgroup_of(1 << 30) is None
