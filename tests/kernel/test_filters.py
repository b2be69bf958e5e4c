"""Filters: who is not wanted is not recorded, not counted, and by `--pid` not even touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.running import wait_for
from tests.shell import only_line, pellucid

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
def cgroup():
    """`cgroup(name)` makes a group of cgroup v2, and those above it; all are removed in the end."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    root = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    assert root, "this test needs a mounted cgroup v2 hierarchy: mount -t cgroup2 none /sys/fs/cgroup/unified"
    top = root / f"pellucid-test-{os.getpid()}"

    def make(name):
        group = top / name
        group.mkdir(parents=True)
        return group

    yield make
    for group in [*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top]:
        wait_for(lambda group=group: not (group / "cgroup.procs").read_text(), f"{group} to be empty")
        group.rmdir()


def run_in(puppet, *groups):
    """Run the script in a program of each group, and in one that is in none of them; their pids."""
    programs = [puppet(SCRIPT) for _ in (*groups, None)]
    for program, group in zip(programs, groups, strict=False):
        (group / "cgroup.procs").write_text(str(program.pid))
    for program in programs:
        program.end()
    return [program.pid for program in programs]


def test_cgroup(cgroup, puppet, watch):
    """`--cgroup_path` means the subtree: that group, those below it at any depth, and no others."""
    wanted, below, deep, beside = map(cgroup, ("wanted", "wanted/below", "wanted/a/b", "wanted-not"))
    run = watch("--cgroup_path", str(wanted))
    pids = run_in(puppet, wanted, below, deep, beside)

    assert heard(run.stop()) == set(pids[:3])


FIRST, SECOND = f"aa{os.getpid():062x}", f"bb{os.getpid():062x}"


@pytest.mark.parametrize(
    "name",
    [
        f"system.slice/docker-{FIRST}.scope",
        f"docker/{FIRST}",
        f"kubepods.slice/pod1/cri-containerd-{FIRST}.scope",
        f"machine.slice/libpod-{FIRST}.scope",
    ],
)
def test_container(name, cgroup, puppet, watch):
    """`--container` finds the group that an engine has named by the id, and means it and those below it."""
    wanted = cgroup(name)
    inner, other = cgroup(f"{name}/init.scope"), cgroup(name.replace(FIRST, SECOND))
    run = watch("--container", FIRST[:64] if "docker" in name else FIRST[:62])
    pids = run_in(puppet, wanted, inner, other)

    assert heard(run.stop()) == set(pids[:2])


def test_containers_that_are_not_one(cgroup, fake_ssl):
    """A container that is not there, one of several, and one besides a cgroup are each one line."""
    groups = [cgroup(f"docker/{FIRST[:63]}{last}") for last in "ef"]
    command = ("tls", "--libssl", fake_ssl, "--container")
    none = only_line(pellucid(*command, "f00d" * 16), 1)
    assert none.startswith(f"no container {'f00d' * 16} under ")
    assert f"{FIRST[:12]}, {FIRST[:12]}" in none
    several = only_line(pellucid(*command, FIRST[:60]), 2)
    paths = ", ".join(map(str, groups))
    assert (
        several
        == f"--container {FIRST[:60]} means several: give more of it, or --cgroup_path of one of {paths}"
    )
    both = only_line(pellucid(*command, FIRST, "--cgroup_path", groups[0]), 2)
    assert both == "--container and --cgroup_path exclude each other: a container is a cgroup"


NAMED = """
import ctypes, os, threading
libc = ctypes.CDLL(None)
def be(name):
    libc.prctl(15, name, 0, 0, 0)  # PR_SET_NAME
def thread(name, handle):
    def run():
        be(name)
        write(handle, b"thread " + name)
    one = threading.Thread(target=run)
    one.start()
    one.join()
"""


def test_comm(puppet, watch):
    """`--comm` means exactly that name of a thread or of its process, each of several, all 15 bytes of it."""
    run = watch("--comm", "wanted", "--comm", "fifteen-bytes-x")
    calls = {
        "process": "be(b'wanted'); write(1, b'process'); thread(b'any', 2)",
        "thread": "be(b'unknown'); write(1, b'process'); thread(b'fifteen-bytes-x', 2); thread(b'any', 3)",
        "other": "be(b'wanted2'); write(1, b'process'); thread(b'fifteen-bytes-', 2)",
    }
    programs = {name: puppet(f"{NAMED}\n{script}") for name, script in calls.items()}
    for program in programs.values():
        program.end()
    messages = run.stop()

    found = [(message["pid"], message["data"]) for message in messages if message["type"] == "data"]
    assert found == [
        (programs["process"].pid, "process"),
        (programs["process"].pid, "thread any"),
        (programs["thread"].pid, "thread fifteen-bytes-x"),
    ]
    heard(messages)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "sixteen-bytes-xy",
            " is 16 bytes long, of which the kernel keeps 15: give these only, such as sixteen-bytes-x",
        ),
        ("", "needs a name: an empty one is nobody's"),
    ],
    ids=["long", "empty"],
)
def test_comm_that_no_task_has(name, expected, fake_ssl, tmp_path):
    """A name that the kernel cannot have is wrong usage, says why, and leaves no output."""
    command = ("tls", "--libssl", fake_ssl, "-o", f"json:{tmp_path}/events", "--comm", name)
    assert only_line(pellucid(*command), 2) == f"--comm {name}{expected}"
    assert not (tmp_path / "events").exists()


def test_filters_together(puppet, watch):
    """With two filters a program must satisfy both."""
    program = puppet(SCRIPT)
    run = watch("--pid", str(program.pid), "--uid", str(NOBODY))
    program.end()

    assert heard(run.stop()) == set()
