"""The decoder's end of the channel: what an output asked for overtakes everything else, which stays in order."""

from __future__ import annotations

import os

import pytest

from pellucid.channel import Channel, Finish, NextFile, NotOpened, Opened, Reconnect, Settle
from pellucid.errors import PellucidError
from pellucid.inbox import Inbox


@pytest.fixture
def ends():
    """The decoder's inbox, and the tracer's end of the channel."""
    ours, theirs = Channel.pair()
    yield Inbox(ours), theirs
    ours.close()
    theirs.close()


@pytest.fixture
def null():
    """A descriptor of /dev/null."""
    fd = os.open(os.devnull, os.O_WRONLY)
    yield fd
    os.close(fd)


def test_the_next_file_overtakes(ends, null):
    """It is handed over while what was said before it waits, and is then received in order."""
    inbox, tracer = ends
    tracer.send(Settle())
    tracer.send(Opened(3), [null])
    tracer.send(Finish())
    fd = inbox.next_file(3)
    os.close(fd)
    assert tracer.receive() == (NextFile(3), [])
    assert inbox.pending
    assert [inbox.receive()[0] for _ in range(3)] == [Settle(), Opened(3), Finish()]
    assert not inbox.readable()


def test_no_next_file(ends):
    """Where it cannot be opened, the tracer's line is the error."""
    inbox, tracer = ends
    tracer.send(NotOpened(0, "cannot rotate x: No space left on device"))
    with pytest.raises(PellucidError, match="cannot rotate x: No space left on device"):
        inbox.next_file(0)


def test_nobody_opens_files_any_more(ends):
    """When the tracer is gone there is no next file, at once and every time."""
    inbox, tracer = ends
    tracer.close()
    assert inbox.next_file(0) is None
    assert inbox.next_file(0) is None
    assert inbox.gone


def test_a_connection_comes_later(ends, null):
    """It is asked for without waiting, and handed over when it comes, also to who waits for something else."""
    inbox, tracer = ends
    got = []
    inbox.reconnect(1, got.append)
    assert tracer.receive() == (Reconnect(1), [])
    assert got == []
    tracer.send(Opened(1), [null])
    tracer.send(Opened(0), [null])
    got.append(inbox.next_file(0))
    assert len(got) == 2
    for fd in got:
        os.close(fd)
