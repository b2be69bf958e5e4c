"""Which way packets of an interface are seen, and what a failed one leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pellucid.attach.packets import hooks
from pellucid.attach.packets.hooks import PacketHooks, Way
from pellucid.attach.packets.interfaces import NetworkInterface
from pellucid.attach.packets.network import own_network
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, Link

if TYPE_CHECKING:
    from collections.abc import Callable

LO = NetworkInterface(1, "lo", 772, 0x49)
GONE = NetworkInterface(1 << 30, "gone", 772, 0x49)


class Named:
    """A program, or a map, of this name."""

    fd = 3

    def __init__(self, name: str) -> None:
        self.name = name
        self.update = dict[bytes, bytes]().__setitem__


class Object:
    """A BPF object that is asked for programs and maps only."""

    map = program = Named


@pytest.fixture
def attach_tcx(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Callable[[str], None]]:
    """The tcx links that are there, by the program's name, and a way to have one fail from now on."""
    links: list[str] = []
    failing: set[str] = set()

    def attach(program: Named, ifindex: int, *, egress: bool) -> Link:
        assert egress == (program.name == "egress")
        if program.name in failing:
            raise BpfError(f"cannot attach {program.name} to interface {ifindex}")
        links.append(program.name)
        return Link(lambda: links.remove(program.name))

    monkeypatch.setattr(hooks, "attach_tcx", attach)
    return links, failing.add


def test_both_directions_or_none(attach_tcx):
    """Where one direction cannot be attached to, the other is given back, and the error is the kernel's."""
    links, fail = attach_tcx
    attached = PacketHooks(Object(), {}, [Way.TCX])
    assert attached.attach(own_network(), LO)[0] is Way.TCX
    assert links == ["ingress", "egress"]
    links.clear()
    fail("egress")
    with pytest.raises(BpfError, match="cannot attach egress to interface 1"):
        attached.attach(own_network(), LO)
    assert links == []


def test_each_interface_for_itself(attach_tcx, monkeypatch):
    """One interface that cannot be attached to by the best way takes the next one, and others still the best; one that is gone
    takes none.
    """
    attached = PacketHooks(Object(), {}, [Way.TCX, Way.PACKET_SOCKET])
    monkeypatch.setitem(attached._attach, Way.PACKET_SOCKET, lambda *_: [])
    works = attached._attach[Way.TCX]
    monkeypatch.setitem(attached._attach, Way.TCX, refused)
    assert attached.attach(own_network(), LO)[0] is Way.PACKET_SOCKET
    with pytest.raises(BpfError):
        attached.attach(own_network(), GONE)
    monkeypatch.setitem(attached._attach, Way.TCX, works)
    assert attached.attach(own_network(), LO)[0] is Way.TCX


def refused(*_: object) -> list[Link]:
    """What a kernel without tcx says."""
    raise BpfError("Invalid argument")


def test_errors_that_are_not_the_kernels(attach_tcx, monkeypatch):
    """What no kernel has refused is not taken for a missing feature."""
    attached = PacketHooks(Object(), {}, [Way.TCX, Way.PACKET_SOCKET])

    def broken(*_: object) -> list[Link]:
        raise PellucidError("something else")

    monkeypatch.setitem(attached._attach, Way.TCX, broken)
    with pytest.raises(PellucidError, match="something else"):
        attached.attach(own_network(), LO)
