"""The channel: whole typed messages and descriptors, and no harm from an end that is gone or talks nonsense."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from pellucid.channel import (
    MAX_FDS,
    MAX_MESSAGE,
    Anything,
    Channel,
    Done,
    Enough,
    Failed,
    Finish,
    Logged,
    NextFile,
    NotOpened,
    Opened,
    Outputs,
    Reconnect,
    Ring,
    Settle,
    Tell,
)
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfObject
from pellucid.model import Clock, Drops, End, Offsets, Target
from pellucid.probes.plaintext import OBJECT
from pellucid.sink import SinkSpec
from pellucid.tracer import OFFSETS_PER_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES: list[Anything] = [
    Outputs([SinkSpec("json", "events"), SinkSpec("text", "-", shared=True)], None),
    Outputs([], "recording"),
    Ring(1, 32 << 20, b"\x9f\xeb\x01"),
    Tell(Clock(boot=1, wall=2)),
    Tell(Target(id=1, library="libssl.so.3", path="/lib/libssl.so.3", site="inner")),
    Tell(Drops(seen_bytes=1 << 63, lost={"ring_full": 7}, untracked_calls=1)),
    Tell(Offsets(boot=1, connections=[(1, 2, 3)])),
    Tell(End(boot=1)),
    Settle(),
    Finish(),
    Enough(),
    Done(),
    Failed("cannot write to events: No space left on device"),
    Logged("12:00:00 INFO ready"),
    NextFile(1),
    Reconnect(2),
    Opened(1),
    NotOpened(1, "cannot rotate events: No space left on device"),
]
LARGEST = (1 << 64) - 1


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Both ends."""
    one, other = Channel.pair()
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_arrive_as_they_were(message: Anything, ends: tuple[Channel, Channel]) -> None:
    """What is received equals what was sent, type and all."""
    assert ends[0].send(message)
    assert ends[1].receive() == (message, [])


def test_messages_stay_apart(ends: tuple[Channel, Channel]) -> None:
    """Messages that wait together are received one by one, in order."""
    for message in MESSAGES:
        ends[0].send(message)
    assert [ends[1].receive()[0] for _ in MESSAGES] == MESSAGES


def test_descriptors_come_along(ends: tuple[Channel, Channel]) -> None:
    """A descriptor arrives as one of the same file, which no started program inherits."""
    reader, writer = os.pipe()
    ends[0].send(Done(), [writer])
    os.close(writer)
    _, (received,) = ends[1].receive()
    os.write(received, b"through the other")
    assert os.read(reader, 100) == b"through the other"
    assert not os.get_inheritable(received)
    os.close(received)
    os.close(reader)


def test_as_many_outputs_as_fit(ends: tuple[Channel, Channel]) -> None:
    """MAX_FDS descriptors travel with one message."""
    null = os.open(os.devnull, os.O_WRONLY)
    ends[0].send(Outputs([SinkSpec("json", "x")] * MAX_FDS, None), [null] * MAX_FDS)
    _, received = ends[1].receive()
    assert len(received) == MAX_FDS
    for fd in [null, *received]:
        os.close(fd)


def test_the_other_end_is_gone() -> None:
    """Sending then says so, and receiving gives None: neither is an error."""
    one, other = Channel.pair()
    other.close()
    assert one.send(Done()) is False
    assert one.receive() == (None, [])
    one.close()


def test_what_was_sent_before_the_end_arrives() -> None:
    """A process that says why it fails and ends at once is still heard."""
    one, other = Channel.pair()
    other.send(Failed("the reason"))
    other.close()
    assert one.receive() == (Failed("the reason"), [])
    assert one.receive() == (None, [])
    one.close()


def test_the_last_word_of_an_end_that_did_not_listen() -> None:
    """A process that ends without reading what it was sent is heard too, and then it is gone."""
    one, other = Channel.pair()
    one.send(Done())
    other.send(Failed("the reason"))
    other.close()
    assert one.receive() == (Failed("the reason"), [])
    assert one.receive() == (None, [])
    one.close()


def test_an_end_that_does_not_listen(ends: tuple[Channel, Channel]) -> None:
    """Without waiting, a message to a full channel is given up; it is not an error."""
    sent = 0
    while ends[0].send(Done(), wait=False):
        sent += 1
    assert sent
    assert ends[1].receive() == (Done(), [])


@pytest.mark.parametrize("nonsense", [b"\xff", b"\x81\xa4type\xa4Open", b"\xc1" * 1000, b"\xa1\xff"])
def test_nonsense_is_refused(nonsense: bytes) -> None:
    """Bytes that are no message are an error of ours, whoever sent them."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(one)
    other.send(nonsense)
    with pytest.raises(PellucidError, match="does not make sense"):
        channel.receive()
    channel.close()
    other.close()


def test_the_largest_messages_fit(ends: tuple[Channel, Channel]) -> None:
    """The object's types, and a full group of offsets, are each one message."""
    row = (LARGEST, LARGEST, LARGEST)
    for message in (
        Ring(1, 1 << 28, BpfObject(OBJECT).btf()),
        Tell(Offsets(LARGEST, [row] * OFFSETS_PER_MESSAGE)),
    ):
        ends[0].send(message)
        assert ends[1].receive() == (message, [])
    assert MAX_MESSAGE <= 1 << 17
