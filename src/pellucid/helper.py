"""What a replay has instead of a tracer: a process that opens the next file, or another connection, when it is asked."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pellucid.channel import Channel
from pellucid.inbox import Inbox
from pellucid.places import Places, rotates, serve
from pellucid.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.settings import Show
    from pellucid.sink import SinkSpec


@contextmanager
def opened_by_helper(specs: list[SinkSpec], settings: Show) -> Iterator[tuple[list[int], Inbox]]:
    """Open the outputs: their descriptors, and whom to ask for the next file or another connection.

    That is a process of its own, which keeps the rights that this one gives up, and sees nothing of the recording.
    """
    places = Places()
    ours, theirs = Channel.pair()
    helper = 0
    try:
        places.open(specs, settings)
        places.empty()
        fds = places.copies()
        if rotates(settings) or any(spec.endpoint for spec in specs):
            helper = _fork_helper(ours, theirs, places, fds)
        theirs.close()
        yield fds, Inbox(ours)
    finally:
        ours.close()
        places.close()
        if helper:
            os.waitpid(helper, 0)


def _fork_helper(ours: Channel, theirs: Channel, places: Places, fds: list[int]) -> int:
    """Start the process that opens things; it ends when `ours` is closed."""
    helper = os.fork()
    if helper:
        return helper
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        ours.close()
        places.let_go()
        for fd in fds:
            os.close(fd)
        serve(theirs, places)
    finally:
        os._exit(0)
