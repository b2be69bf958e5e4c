"""Answers of the kernel's netlink, and what is made of broken ones."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.packets import rtnetlink
from pellucid.attach.packets.rtnetlink import RefusedError, attributes, dump, messages
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
LINK, DONE = 16, 3


def message(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """One of netlink."""
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload


def kernel(answers: Iterable[Iterable[bytes]]) -> Callable[..., socket.socket]:
    """`socket.socket` of a kernel that gives each socket these datagrams."""
    left = iter(answers)

    class Asked(socket.socket):
        def __init__(self, *_: int) -> None:
            super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._datagrams = iter(next(left))

        def bind(self, _: object) -> None: ...

        def send(self, data: bytes, _: int = 0) -> int:
            return len(data)

        def recv(self, _: int, __: int = 0) -> bytes:
            return next(self._datagrams)

    return Asked


def test_messages() -> None:
    """A datagram with several messages is cut where each says that it ends; what follows the last one is left."""
    one = struct.pack("=IHHII", 18, 16, 2, 1, 0) + b"ab\0\0"
    assert list(messages(one + message(DONE) + bytes(8))) == [(16, 2, b"ab"), (DONE, 0, b"")]


def test_attributes() -> None:
    """Attributes are cut where each says that it ends, and padded to four bytes."""
    data = b"skip" + struct.pack("=HH3sx", 7, 99, b"abc") + struct.pack("=HH5s3x", 9, 3, b"eth0")
    assert list(attributes(data, 4)) == [(99, b"abc"), (3, b"eth0\0")]


def test_an_interrupted_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed while the kernel told of it is asked for again; what was told before does not count."""
    broken = [message(LINK, b"old!"), message(LINK, b"new!", INTERRUPTED), message(DONE)]
    at_the_end = [message(LINK, b"old!"), message(DONE, b"", INTERRUPTED)]
    whole = [message(LINK, b"new!") + message(LINK, b"too!"), message(DONE)]
    monkeypatch.setattr(rtnetlink.socket, "socket", kernel([broken, at_the_end, whole]))
    assert dump(18, b"") == [(LINK, b"new!"), (LINK, b"too!")]


def test_it_changes_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never stays the same is an error, and no endless loop."""
    monkeypatch.setattr(
        rtnetlink.socket, "socket", kernel(iter(lambda: [message(DONE, b"", INTERRUPTED)], None))
    )
    with pytest.raises(PellucidError, match="netlink request 18 changes faster than it can be read"):
        dump(18, b"")


def test_a_request_that_nobody_knows() -> None:
    """The kernel's refusal is one line with its reason."""
    with pytest.raises(RefusedError, match="does not answer netlink request 9999: Operation not supported"):
        dump(9999, b"")
