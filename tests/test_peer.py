"""What is told comes to the decoder in the order in which it was told, listening or not."""

from __future__ import annotations

import os
import threading

import pytest

from pellucid.channel import Channel, Ring, Tell
from pellucid.errors import PellucidError
from pellucid.model import Target
from pellucid.peer import GONE, Peer

TARGETS = 2000


@pytest.fixture
def ends():
    """The tracer's peer, and the decoder's end of the channel."""
    ours, theirs = Channel.pair()
    yield Peer(ours, 0), theirs
    ours.close()
    theirs.close()


def targets(peer):
    """Tell of many: more than the channel holds."""
    for number in range(TARGETS):
        peer.tell(Tell(Target(number, "libssl.so.3", "/libssl.so.3", "inner")))


def test_a_ring_does_not_overtake_targets(ends):
    """A ring that is sent after many targets comes after all of them, with its descriptor, when somebody listens."""
    peer, decoder = ends
    targets(peer)
    assert not peer.listens
    heard = []

    def listen():
        for _ in range(TARGETS + 1):
            message, fds = decoder.receive()
            heard.append((message, len(fds)))
            for fd in fds:
                os.close(fd)

    listener = threading.Thread(target=listen)
    listener.start()
    peer.send(Ring(1, 4096, b""), [0])
    listener.join()

    assert [message.context.id for message, _ in heard[:-1]] == list(range(TARGETS))
    assert heard[-1] == (Ring(1, 4096, b""), 1)
    assert peer.listens


def test_nobody_is_there(ends):
    """When the decoder is gone while it is waited for, that is an error, and no endless wait."""
    peer, decoder = ends
    targets(peer)
    decoder.close()
    with pytest.raises(PellucidError, match=GONE):
        peer.send(Ring(1, 4096, b""), [0])
