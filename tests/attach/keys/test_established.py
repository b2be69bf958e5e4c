"""When temporary probes are made for older connections, when they go, and what is counted without them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pellucid.attach.code.accessors import Field
from pellucid.attach.images import Area, Key
from pellucid.attach.keys import established
from pellucid.attach.keys.established import OlderConnections
from pellucid.attach.sites import Site
from pellucid.attach.targets import FoundTarget
from pellucid.errors import PellucidError
from pellucid.libbpf import Link
from pellucid.model import Direction

KEY = Key(1, 2)
TARGET = FoundTarget(Path("/lib/libssl.so.3"), "/lib/libssl.so.3", "libssl.so.3", KEY, {}, "symbols")
FIELDS = {
    name: (Field((8,), 4, 0xFFFF),)
    for name in ("client_random", "version", "handshake", "cipher", "master_key")
}


class Counts(dict[bytes, bytes]):
    """A map of the kernel."""

    update = dict.__setitem__
    lookup = dict.get
    delete = dict.__delitem__


class Programs(NamedTuple):
    """A loaded object."""

    counts: Counts

    def program(self, name: str) -> str:
        """One of its programs."""
        return name

    def map(self, _name: str) -> Counts:
        """One of its maps."""
        return self.counts


class Images:
    """Two processes with the target's file, one with another."""

    def areas(self) -> list[Area]:
        """What is mapped."""
        return [Area(7, 7, 0, 1, *KEY), Area(8, 8, 0, 1, *KEY), Area(9, 9, 0, 1, 1, 3, 0)]


class Machine:
    """What there is on it, and which probes are there: sites by the program that they run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sockets = {7: {70, 71}, 8: {80}, 9: {90}}
        self.fields = FIELDS
        self.sites = [Site("SSL_read", 0x10, Direction.READ, 0, 1, 2, None, "entry", True)]
        self.now = 1000.0
        self.probed: list[int] = []
        self.counts = Counts()
        monkeypatch.setattr(established, "connected_sockets", self._sockets)
        monkeypatch.setattr(established, "find_fields", lambda _: self.fields)
        monkeypatch.setattr(established, "find_sites", self._sites)
        monkeypatch.setattr(established, "attach_uprobes", self._attach)
        monkeypatch.setattr(established.time, "monotonic", lambda: self.now)

    def _sockets(self, _programs: object, pids: set[int]) -> set[int]:
        return set().union(*(self.sockets.get(pid, set()) for pid in pids))

    def _sites(self, _target: object, _library: object, *, entry_only: bool = False) -> list[Site]:
        return [site for site in self.sites if not entry_only or site.kind == "entry"]

    def _attach(self, _program: str, _path: str, sites: list[Any], **_: object) -> list[Link]:
        self.probed += [site.offset for site in sites]
        return [Link(self.probed.clear)]

    def older(self, pid: int | None = None) -> OlderConnections:
        """A capture that waits a minute for older connections."""
        programs: Any = Programs(self.counts)
        images: Any = Images()
        library: Any = None
        return OlderConnections(
            programs, lambda _number, _fields: None, library, images, 60.0, pid=pid, multi=True
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with three connections of the target's programs."""
    return Machine(monkeypatch)


def read(machine: Machine, number: int) -> None:
    """The kernel has read so many of the three connections of target 5."""
    machine.counts[(5).to_bytes(4, "little")] = (3 - number).to_bytes(8, "little", signed=True)


def test_all_are_read(machine: Machine) -> None:
    """The probes go when as many connections were read as the target's programs had sockets."""
    older = machine.older()
    older.wait_for(TARGET, 5)
    read(machine, 2)
    older.renew()
    assert machine.probed == [0x10]
    read(machine, 3)
    older.renew()
    assert (machine.probed, machine.counts) == ([], {})
    assert older.unread == 0


def test_more_are_read(machine: Machine) -> None:
    """Two CPUs may read one connection more than there were sockets: that counts as all."""
    older = machine.older()
    older.wait_for(TARGET, 5)
    read(machine, 4)
    older.renew()
    assert machine.probed == []
    assert older.unread == 0


def test_time_is_over(machine: Machine) -> None:
    """The probes go when the time is over, and the rest is counted."""
    older = machine.older()
    older.wait_for(TARGET, 5)
    read(machine, 1)
    machine.now += 59
    older.renew()
    assert machine.probed == [0x10]
    machine.now += 1
    older.renew()
    assert machine.probed == []
    assert older.unread == 2


def test_totals_leave_everything_as_it_is(machine: Machine) -> None:
    """How many were not read can be asked for at any time, and the probes stay until the end, which changes no number."""
    older = machine.older()
    older.wait_for(TARGET, 5)
    read(machine, 1)
    assert (older.unread, machine.probed) == (2, [0x10])
    older.finish()
    assert (older.unread, machine.probed) == (2, [])


def test_a_probe_that_cannot_be(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel refuses the probe, nothing of the target stays in the map, which has room for 2,048."""

    def refuse(*_: object, **__: object) -> list[Link]:
        raise PellucidError("no room")

    monkeypatch.setattr(established, "attach_uprobes", refuse)
    older = machine.older()
    older.wait_for(TARGET, 5)
    assert (machine.counts, older.unread) == ({}, 3)


def test_one_process(machine: Machine) -> None:
    """With a process named, only its sockets count."""
    older = machine.older(pid=8)
    older.wait_for(TARGET, 5)
    assert older.unread == 1


def test_nobody_is_connected(machine: Machine) -> None:
    """Where no program of the target is connected, no probe is made."""
    machine.sockets = {9: {90}}
    older = machine.older()
    older.wait_for(TARGET, 5)
    assert machine.probed == []
    assert older.unread == 0


def test_unknown_places(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """Where it is not known where a library keeps things, no probe is made, and the log says why."""
    machine.fields = {name: field for name, field in FIELDS.items() if name != "handshake"}
    older = machine.older()
    with caplog.at_level(logging.WARNING, "pellucid"):
        older.wait_for(TARGET, 5)
    assert machine.probed == []
    assert older.unread == 3
    assert "its code does not tell where it keeps handshake" in caplog.text


def test_object_elsewhere(machine: Machine) -> None:
    """Where an inner function has the object elsewhere than in its first argument, public ones are probed."""
    machine.sites.append(Site("inner", 0x20, Direction.READ, 1, 2, 3, None, "inner", True))
    older = machine.older()
    older.wait_for(TARGET, 5)
    assert machine.probed == [0x10]


def test_a_target_is_left(machine: Machine) -> None:
    """The probes of a target that is left go as well, and what was not read by then is counted."""
    older = machine.older()
    older.wait_for(TARGET, 5)
    older.leave([4, 5])
    assert machine.probed == []
    assert older.unread == 3
