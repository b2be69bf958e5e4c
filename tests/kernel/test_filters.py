"""Filters: who is not wanted is not recorded, not counted, and by `--pid` not even touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.running import wait_for

SCRIPT = "import os\nwrite(1, b'%d writes' % os.getpid()); read(1, b'and reads'); free(1)"
NOBODY = 65534


def heard(messages):
    """The processes that were captured; the summary must know of no other bytes than theirs."""
    data = [message for message in messages if message["type"] == "data"]
    assert messages[-1]["bytes"] == sum(message["size"] for message in data)
    assert messages[-1]["lost"] == {}
    return {message["pid"] for message in data}


def test_pid(puppet, watch):
    """With `--pid` one process is captured and another is not, though both make the same calls."""
    wanted, other = puppet(SCRIPT), puppet(SCRIPT)
    run = watch("--pid", str(wanted.pid))
    other.end()
    wanted.end()

    assert heard(run.stop()) == {wanted.pid}


def test_pid_covers_all_threads(puppet, watch):
    """`--pid` means the process: threads that it starts later are captured too."""
    wanted = puppet("""
import threading
for number in range(3):
    thread = threading.Thread(target=write, args=(number + 1, b"thread %d" % number))
    thread.start()
    thread.join()
""")
    run = watch("--pid", str(wanted.pid))
    wanted.end()

    texts = [message["data"] for message in run.stop() if message["type"] == "data"]
    assert texts == ["thread 0", "thread 1", "thread 2"]


def code_of(puppet):
    """The instructions of SSL_write as a process has them in memory: a probe is a changed one."""
    address = int(puppet.step())
    with Path(f"/proc/{puppet.pid}/mem").open("rb") as memory:
        memory.seek(address)
        return memory.read(32)


def test_pid_leaves_others_alone(puppet, watch):
    """With `--pid` only that process gets probes: in the memory of others the library's code is unchanged."""
    script = """
import ctypes
address = ctypes.cast(library.SSL_write, ctypes.c_void_p).value
while True:
    write(1, b"the page of the code is there")
    pause(address)
"""
    wanted, other = puppet(script), puppet(script)
    before = code_of(wanted)
    assert code_of(other) == before
    run = watch("--pid", str(wanted.pid))

    assert code_of(wanted) != before
    assert code_of(other) == before
    run.stop()
    assert code_of(wanted) == before


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_uid(uid, puppet, watch):
    """`--uid` captures that user's programs only; 0 is root, not everybody."""
    run = watch("--uid", str(uid))
    pids = {}
    for user in (0, NOBODY):
        program = puppet(f"import os\nos.setresuid({user}, {user}, {user})\n{SCRIPT}")
        pids[user] = program.pid
        program.end()

    assert heard(run.stop()) == {pids[uid]}


@pytest.fixture
def cgroups():
    """A group of cgroup v2, with one below it and one beside it; removed in the end."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    assert root, "this test needs a mounted cgroup v2 hierarchy: mount -t cgroup2 none /sys/fs/cgroup/unified"
    wanted, beside = root / f"pellucid-test-{os.getpid()}", root / f"pellucid-test-{os.getpid()}-beside"
    groups = wanted, wanted / "below", beside
    for group in groups:
        group.mkdir()
    yield groups
    for group in reversed(groups):
        wait_for(lambda group=group: not (group / "cgroup.procs").read_text(), f"{group} to be empty")
        group.rmdir()


def test_cgroup(cgroups, puppet, watch):
    """`--cgroup_path` captures the programs of that group and of those below it, and no others."""
    run = watch("--cgroup_path", str(cgroups[0]))
    inside, below, beside, outside = (puppet(SCRIPT) for _ in range(4))
    for program, group in zip((inside, below, beside), cgroups, strict=True):
        (group / "cgroup.procs").write_text(str(program.pid))
    for program in (inside, below, beside, outside):
        program.end()

    assert heard(run.stop()) == {inside.pid, below.pid}


def test_filters_together(puppet, watch):
    """With two filters a program must satisfy both."""
    program = puppet(SCRIPT)
    run = watch("--pid", str(program.pid), "--uid", str(NOBODY))
    program.end()

    assert heard(run.stop()) == set()
