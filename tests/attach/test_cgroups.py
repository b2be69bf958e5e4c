"""Directories of cgroup v2, from what the kernel says of mounts and processes."""

from __future__ import annotations

import os
from pathlib import Path

from pellucid.attach.cgroups import cgroup_of, root, root_in

HYBRID = """\
29 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755
30 29 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
31 29 0:28 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,name=systemd
"""


def test_version_2_is_found_beside_version_1():
    """Where both are mounted, the second is meant, wherever it is."""
    assert Path("/sys/fs/cgroup/unified") == root_in(HYBRID)


def test_no_version_2():
    """A machine that has only version 1 has no root."""
    assert root_in(HYBRID.replace("cgroup2", "cgroup")) is None


def test_a_process_has_a_directory():
    """Our own group's directory lists this process."""
    found = cgroup_of(os.getpid())

    assert root() is None or str(os.getpid()) in (found / "cgroup.procs").read_text().split()


def test_a_process_that_has_ended():
    """One that is gone has none."""
    assert cgroup_of(1 << 30) is None
