"""The table of features: what is asked, in which order, and what a probe's answer means."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace

import pytest

from pellucid.attach import children, features, machine
from pellucid.attach.features import FEATURES, INSTALLATION, Feature, examine, missing_requirement
from pellucid.errors import PellucidError, Unsupported

ROWS = FEATURES + INSTALLATION
GETPPID = {"x86_64": 110, "aarch64": 173}[os.uname().machine]
NO_SYSTEM_CALL = 1000


def absent():
    raise PellucidError("the reason")


def row(name, probe=lambda: "there", **more):
    return Feature(name, use="this", needs="that", do="get it", probe=probe, **more)


def test_names_are_one_rows_each():
    """No two rows have the same name, for `after` and readers go by it."""
    names = [feature.name for feature in ROWS]
    assert sorted(set(names)) == sorted(names)


def test_a_row_waits_for_earlier_rows_only():
    """Each row comes after those that it hangs on, so that their answers are known."""
    for place, feature in enumerate(ROWS):
        assert set(feature.after) <= {earlier.name for earlier in ROWS[:place]}, feature.name


@pytest.mark.parametrize("feature", ROWS, ids=lambda feature: feature.name)
def test_words_of_a_row(feature):
    """Every row says what for, what it needs and what to do, in words that can follow others in a line."""
    words = [feature.use, feature.needs, feature.do, *([feature.without] if feature.without else [])]
    for text in words:
        assert text
        assert "\n" not in text
        assert not text.endswith(".")


@pytest.mark.parametrize("commit", [commit for feature in ROWS for commit in feature.commits])
def test_commits_can_be_looked_up(commit):
    """A commit is quoted as 12 digits, its title and the release it came with."""
    assert re.fullmatch(r'[0-9a-f]{12} "[^"]+" \(\d\.\d+\)', commit)


@pytest.mark.parametrize(("without", "state"), [(None, "missing"), ("another way", "warn")])
def test_what_is_not_there(without, state):
    """A row whose probe fails is missing if nothing replaces it, else a warning; the reason is the probe's."""
    (finding,) = examine([row("x", absent, without=without)])
    assert (finding.state, finding.text) == (state, "the reason")


def test_what_cannot_be_tried():
    """Rows that hang on an absent one are not tried, however far down; the first cause is named."""
    tried = []
    findings = list(
        examine(
            [
                row("a", absent),
                row("b", lambda: tried.append("b") or "there", after=("a",)),
                row("c", lambda: tried.append("c") or "there", after=("b",)),
                row("d", lambda: tried.append("d") or "there"),
            ]
        )
    )
    assert [finding.state for finding in findings] == ["missing", "unchecked", "unchecked", "ok"]
    assert findings[2].text == "not tried without a"
    assert tried == ["d"]


def test_a_requirement_explains_a_failure(monkeypatch):
    """The first missing requirement is the error, in the words of its row; an absent option is none."""
    table = (row("a", absent, without="another way"), row("b", absent), row("c", absent))
    monkeypatch.setattr(features, "FEATURES", table)
    error = missing_requirement()
    assert isinstance(error, Unsupported)
    assert str(error) == "this needs b: get it (see pellucid doctor)"


def test_nothing_explains_a_failure(monkeypatch):
    """Where every requirement is there, nothing is blamed."""
    monkeypatch.setattr(features, "FEATURES", [replace(feature, probe=str) for feature in FEATURES])
    assert missing_requirement() is None


@pytest.mark.parametrize(("uid", "is_root"), [(0, True), (1000, False)])
def test_root(uid, is_root, monkeypatch):
    """Root is uid 0."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert answer(machine.root) == ("uid 0" if is_root else PellucidError("this is uid 1000"))


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (1 << 39, "in effect"),
        (1 << 21, "CAP_SYS_ADMIN stands for it"),
        ((1 << 64) - 1 - (1 << 39) - (1 << 21), None),
    ],
    ids=["itself", "CAP_SYS_ADMIN", "all others"],
)
def test_capabilities(mask, expected, monkeypatch, tmp_path):
    """CAP_BPF is bit 39 of the effective set, and bit 21, CAP_SYS_ADMIN, stands for it."""
    monkeypatch.setattr(machine, "STATUS", tmp_path / "status")
    machine.STATUS.write_text(f"CapPrm:\t{0:016x}\nCapEff:\t{mask:016x}\nCapBnd:\t{(1 << 41) - 1:016x}\n")
    found = answer(machine.capability("CAP_BPF"))
    assert found == (expected or PellucidError("not among the effective capabilities of this process"))


@pytest.mark.parametrize("mode", ["none", "integrity", "confidentiality"])
def test_lockdown(mode, monkeypatch, tmp_path):
    """The mode in brackets is the one in force (kernel_lockdown(7))."""
    monkeypatch.setattr(machine, "LOCKDOWN", tmp_path / "lockdown")
    modes = "none integrity confidentiality\n".replace(mode, f"[{mode}]")
    machine.LOCKDOWN.write_text(modes)
    assert machine.lockdown() == f"lockdown: {mode}"


def test_mounts(monkeypatch, tmp_path):
    """Mounts are told apart by file system, wherever they are, with optional fields and escaped names (proc(5))."""
    monkeypatch.setattr(machine, "MOUNTS", tmp_path / "mountinfo")
    machine.MOUNTS.write_text(
        "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw\n"
        "42 31 0:38 / /mnt/a\\040cgroup2\\134x rw - cgroup2 none rw\n"
    )
    assert machine.mounted("cgroup2")() == "/sys/fs/cgroup/unified, /mnt/a cgroup2\\x"
    assert answer(machine.mounted("tracefs")) == PellucidError("no tracefs is mounted")


@pytest.mark.parametrize(("mounted", "perf"), [(True, True), (True, False), (False, True), (False, False)])
def test_tracefs_is_needed_where_perf_is_not(mounted, perf, monkeypatch, tmp_path):
    """Tracefs may be unmounted where perf makes uprobes."""
    monkeypatch.setattr(machine, "mounts", lambda _: ["/t"] if mounted else [])
    monkeypatch.setattr(machine, "UPROBE_PMU", tmp_path / "type")
    if perf:
        machine.UPROBE_PMU.write_text("8\n")
    assert isinstance(answer(machine.tracefs), str) is (mounted or perf)


def test_an_attempt_in_a_child():
    """What a child did comes back as its status: a result, a signal, or 255 for an exception."""

    def broken():
        raise ValueError

    assert children.in_child(lambda: 7) == 7
    assert children.in_child(lambda: os.kill(os.getpid(), signal.SIGKILL)) == -signal.SIGKILL
    assert children.in_child(broken) == 255


def test_a_system_call_that_a_filter_refuses(monkeypatch):
    """With an ordinary system call in the place of the return probe's, the filter is seen to refuse it."""
    monkeypatch.setitem(children.URETPROBE, os.uname().machine, GETPPID)
    assert "seccomp filters can refuse" in str(answer(children.return_probes_in_sandboxes))


def test_a_system_call_that_is_none(monkeypatch):
    """With a number that no system call has, return probes are none."""
    monkeypatch.setitem(children.URETPROBE, os.uname().machine, NO_SYSTEM_CALL)
    assert children.return_probes_in_sandboxes() == "return probes are no system call here"


def test_the_filter_is_the_childs(monkeypatch):
    """After the trial this process still gets that system call through."""
    monkeypatch.setitem(children.URETPROBE, os.uname().machine, GETPPID)
    answer(children.return_probes_in_sandboxes)
    assert children._answer(GETPPID) == 0


@pytest.mark.parametrize(
    ("flags", "number", "words"),
    [
        ("fpu vme", GETPPID, "programs have no shadow stacks here"),
        ("fpu user_shstk", GETPPID, "return probes keep shadow stacks in step"),
        ("fpu user_shstk", NO_SYSTEM_CALL, "nothing shows that return probes respect them"),
    ],
)
def test_shadow_stacks(monkeypatch, tmp_path, flags, number, words):
    """They are in danger where the processor has them, and the kernel lacks what came with their protection."""
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    machine.CPUINFO.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setitem(children.URETPROBE, os.uname().machine, number)
    assert words in str(answer(children.return_probes_with_shadow_stacks))


class AbsentError(PellucidError):
    """An error that equals one with the same words."""

    def __eq__(self, other):
        return isinstance(other, PellucidError) and str(self) == str(other)

    __hash__ = PellucidError.__hash__


def answer(probe):
    """What a probe returned, or its error."""
    try:
        return probe()
    except PellucidError as error:
        return AbsentError(str(error))
