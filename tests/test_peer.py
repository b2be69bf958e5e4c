"""What is told comes to the decoder in the order in which it was told, listening or not."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from pellucid.channel import Channel, Logged, NextFile, Opened, Ring, Tell
from pellucid.errors import PellucidError
from pellucid.model import Target
from pellucid.peer import GONE, MOST_LOG, Peer
from pellucid.places import Places
from pellucid.settings import Show
from pellucid.sink import SinkSpec

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


@pytest.fixture
def file(tmp_path):
    """A file that rotates, with something in it whenever the decoder asks for the next: output 0 of `places`."""
    places = Places()
    (fd,) = places.open([SinkSpec("json", str(tmp_path / "x"))], Show(rotate_size=1))
    os.write(fd, b"something")
    yield places, tmp_path / "x"
    places.close()


def descriptors():
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_it_asks_for(ends, file):
    """The next file goes to the decoder while it is attended, its descriptor open there alone; that ends no capture."""
    (peer, decoder), (places, path) = ends, file
    peer = Peer(peer._channel, 0, places)
    before = descriptors()
    decoder.send(NextFile(0))
    peer.attend(set(), None)
    answer, (fd,) = decoder.receive()
    assert answer == Opened(0)
    assert os.path.samestat(os.fstat(fd), path.stat())
    os.close(fd)
    assert descriptors() == before
    assert not peer.heard


def test_one_that_asks_over_and_over(ends, file):
    """A decoder that takes nothing of what it asks for is not one of ours; it gets no further file."""
    (peer, decoder), (places, path) = ends, file
    peer = Peer(peer._channel, 0, places)

    def ask():
        path.write_text("something")
        decoder.send(NextFile(0))
        peer.attend(set(), None)
        return len(list(path.parent.iterdir()))

    with pytest.raises(PellucidError, match="it asks for output 0 over and over"):
        any(ask() > TARGETS for _ in range(TARGETS))
    assert len(list(path.parent.iterdir())) < TARGETS


def test_a_log_that_nobody_takes(ends):
    """While the decoder takes nothing, lines of the log have a bound; afterwards it hears how many are missing, and where."""
    peer, decoder = ends
    tracemalloc.start()
    for number in range(20 * TARGETS):
        peer.tell_log(f"line {number}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.5 * MOST_LOG
    heard = []
    while len(heard) < 2 or not heard[-1].endswith("too slow"):
        heard.append(decoder.receive()[0].line)
        peer.attend(set(), 0)
    taken = len(heard) - 1
    assert heard == [
        *(f"line {number}" for number in range(taken)),
        f"{20 * TARGETS - taken} lines of the log are missing here: the outputs were too slow",
    ]
    peer.tell_log("after it")
    assert decoder.receive() == (Logged("after it"), [])
