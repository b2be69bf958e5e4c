"""In which order a target gets its number, its fields and its probes, and what a failure leaves behind."""

from __future__ import annotations

import logging

import pytest

from pellucid.attach import attacher as attaching
from pellucid.attach.arrivals import Arrivals
from pellucid.attach.attacher import Attacher
from pellucid.attach.images import Key
from pellucid.attach.library import Library
from pellucid.attach.sites import Site
from pellucid.attach.targets import FoundTarget
from pellucid.clock import boot_ns
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.model import Direction

SITE = Site("SSL_read", 16, Direction.READ, 0, 1, 2, None, "entry", emulated=False)


class Kernel:
    """What a target is attached by: keeps the calls, and fails where `refuses` says so."""

    crowded = False

    def __init__(self):
        self.calls = []
        self.refuses = set()

    def attach(self, found, number, points):
        """Or not."""
        self._called("attach", number)

    def describe(self, number, fields):
        """Or not."""
        self._called("describe", number)

    def detach_targets(self, numbers):
        """Always."""
        self.calls.append(("detach", *numbers))
        return {}

    def _called(self, what, number):
        self.calls.append((what, number))
        if what in self.refuses:
            raise BpfError("no room")


class Roster:
    """Finds what is put into `found`; keeps what is said of it."""

    def __init__(self):
        self.found, self.said = [], []

    def close(self):
        """There is nothing to close."""

    def filenos(self):
        """Nothing to wait for."""
        return set()

    def news(self):
        """Each once."""
        found, self.found = self.found, []
        return found

    def done(self, found):
        """Keep it."""
        self.said.append(("done", found.display))

    def forget(self, found, why, *, again):
        """Keep it."""
        self.said.append(("forget", found.display, again))


class Files:
    """What is found in files, and how often somebody looked; an exception is raised instead."""

    def __init__(self, monkeypatch):
        self.answers = {"find_sites": [SITE], "find_points": [], "find_fields": {"version": ()}}
        self.looks = []
        for name in self.answers:
            monkeypatch.setattr(attaching, name, lambda found, *_, name=name, **__: self._find(name))

    def _find(self, name):
        self.looks.append(name)
        if isinstance(self.answers[name], Exception):
            raise self.answers[name]
        return self.answers[name]


@pytest.fixture
def files(monkeypatch):
    return Files(monkeypatch)


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def attacher(kernel, files):
    return Attacher(kernel, Library("openssl", "OpenSSL", ()), entry_only=False)


@pytest.fixture
def found(tmp_path):
    """`found(name, content)` is a target in a file of that content."""

    def make(name, content=b"content"):
        path = tmp_path / name
        path.write_bytes(content)
        return FoundTarget(path, name, "libssl.so.3", Key(1, path.stat().st_ino), {}, "symbols")

    return make


def attach(attacher, found):
    return attacher.attach(attacher.plan(found))


def test_a_copy_is_described_before_its_first_call(attacher, kernel, found):
    """What one file taught is told of its copy before the probes are there, so that no connection lacks it."""
    attach(attacher, found("one"))
    attach(attacher, found("copy"))
    assert kernel.calls == [("attach", 1), ("describe", 1), ("describe", 2), ("attach", 2)]


def test_nothing_known_is_known_too(attacher, files, found):
    """Where nothing is known of sessions that is not looked for again in each copy."""
    files.answers["find_fields"] = {}
    for name in ("one", "copy", "another"):
        attach(attacher, found(name))
    assert files.looks == ["find_sites", "find_points", "find_fields"]


def test_only_so_much_is_remembered(attacher, files, found, monkeypatch):
    """Of many contents the oldest is forgotten, and looked into again when a copy comes."""
    monkeypatch.setattr(attaching, "_MOST_KEPT", 2)
    for content in (b"1", b"2", b"3", b"2", b"3", b"1"):
        attach(attacher, found("file", content))
    assert files.looks.count("find_sites") == 4


def test_what_is_optional_fails(attacher, kernel, files, found, caplog):
    """That nothing is found out of sessions, or cannot be told, leaves the probes where they are, with a line for -d."""
    caplog.set_level(logging.DEBUG, "pellucid")
    files.answers["find_fields"] = PellucidError("a strange file")
    attach(attacher, found("strange", b"1"))
    kernel.refuses.add("describe")
    attach(attacher, found("crowded", b"2"))
    assert "detach" not in [call[0] for call in kernel.calls]
    assert "strange: nothing is known of its sessions: a strange file" in caplog.text


@pytest.fixture
def said():
    """What the decoder hears: (what, number of the target)."""
    return []


@pytest.fixture
def roster():
    return Roster()


@pytest.fixture
def arrivals(attacher, roster, said):
    """They are introduced at once, but for those that `said` has as `deaf`."""

    def introduce(target):
        said.append(("new", target.id))
        return ("deaf", target.id) not in said

    return Arrivals(attacher, roster, introduce, lambda target: said.append(("not", target.id)))


def test_a_deaf_decoder(arrivals, roster, said, files, found):
    """A target waits for the decoder with its number, and its file is not looked into again."""
    roster.found = [found("one"), found("two", b"2")]
    said.append(("deaf", 1))
    for _ in range(3):
        arrivals.meet()
    said.remove(("deaf", 1))
    arrivals.meet()
    assert said == [("new", 1)] * 4 + [("new", 2)]
    assert roster.said == [("done", "one"), ("done", "two")]
    assert files.looks.count("find_sites") == 2


def test_a_target_that_fails(arrivals, roster, said, kernel, found):
    """What was introduced and could not be attached to is taken back, and may turn up again."""
    kernel.refuses.add("attach")
    roster.found = [found("one")]
    arrivals.meet()
    assert said == [("new", 1), ("not", 1)]
    assert roster.said == [("forget", "one", True)]


def test_a_target_without_sites(arrivals, roster, said, files, found):
    """A file whose code has no place for probes is not looked at again with each program that starts."""
    files.answers["find_sites"] = PellucidError("no code there")
    roster.found = [found("one")]
    arrivals.meet()
    assert said == []
    assert roster.said == [("forget", "one", False)]


def test_overwritten(arrivals, roster, found):
    """A file that was written into is forgotten, so that it is watched again as what it is now."""
    roster.found = [found("one")]
    arrivals.meet()
    arrivals.overwritten([1])
    assert roster.said == [("done", "one"), ("forget", "one", True)]


def test_since_when_the_probes_are_there(kernel, files, found):
    """Where each connection has a process of its own, the target says since when its probes have been there."""
    forking = Attacher(kernel, Library("postgres", "PostgreSQL", (), own_process=True), entry_only=False)
    before = boot_ns()
    plan = forking.plan(found("postgres", b"1"))
    assert plan.target.since == 0
    assert before <= forking.attach(plan).since <= boot_ns()
