"""Who descends from whom, as /proc says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.attach.follow import Stat, children_of, descendants, parents, seed, stat
from pellucid.errors import PellucidError


class Followed(set):
    """The kernel's map, as a set of its keys; `update` sets one element there."""

    def update(self, key, _):
        """Enter one."""
        self.add(int.from_bytes(key, "little"))

    def delete(self, key):
        """Take one out."""
        self.discard(int.from_bytes(key, "little"))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20), st.sets(st.integers(0, 20), max_size=4))
def test_descendants_are_those_whose_ancestors_lead_there(parent_of, ancestors):
    """A process descends from another exactly if the way from parent to parent passes it."""
    tree = {pid: min(parent, pid - 1) for pid, parent in enumerate(parent_of, start=1)}

    def descends(pid):
        parent = tree.get(pid)
        return parent is not None and (parent in ancestors or descends(parent))

    assert descendants(tree, ancestors) == {pid for pid in tree if descends(pid)}


def test_parents_of_this_machine():
    """Every process has the parent that it names itself."""
    assert parents()[os.getpid()] == os.getppid()


def test_children_of_this_process():
    """A child is there as long as it runs; a process that has ended has none."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in children_of(os.getpid())
        assert children_of(child.pid) == []
        child.communicate(b"\n")
    assert children_of(child.pid) == []


def test_a_name_with_blanks_and_brackets(tmp_path):
    """The fields are those after the name, whatever is in it."""
    (tmp_path / "stat").write_bytes(b"7 (a) S 1 2 (b\xff) R 12 7 7 0 -1 4194308 0 0\n")

    assert stat(tmp_path) == Stat(parent=12, exiting=True)


def test_seed_takes_the_whole_family():
    """A process, its child and its grandchild are entered, and this process is not."""
    family = "import subprocess, sys; print(flush=True); subprocess.run([sys.executable, '-c', {!r}])"
    script = family.format(family.format("import signal; print(flush=True); signal.pause()"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, process_group=0) as program:
        for _ in range(3):
            program.stdout.readline()
        followed = Followed()
        found = seed(followed, program.pid)
        os.killpg(program.pid, signal.SIGKILL)

    assert found == followed
    assert len(followed) == 3
    assert program.pid in followed


def test_who_has_ended_is_not_entered():
    """A zombie is not followed: its pid may soon be another's."""
    followed = Followed()
    program = subprocess.Popen(["true"])
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(PellucidError, match=f"there is no process {program.pid}"):
        seed(followed, program.pid)
    program.wait()

    assert followed == set()
