"""The decoder as the tracer knows it: what is said to it, what it has said, and its end."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from msgspec import structs

from pellucid.channel import Done, Failed, Finish, Tell
from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.signals import forget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.channel import Anything, Channel
    from pellucid.model import Target

GONE = "the decoder ended unexpectedly"

SLOW_END = 2.0
"""Seconds after which a user who waits for the end is told why, and may cut it short."""

LAST_WORDS_MS = 1000
"""How long the decoder may still take to end when nobody listens to it any more."""


class Peer:
    """A running decoder, until `close`. It is never waited for while a capture runs."""

    def __init__(self, channel: Channel, pid: int) -> None:
        self.heard = False
        """It has said something: that it has had enough, that it is done, or that it failed."""
        self.failure: str | None = None
        self._done = False
        self._channel = channel
        self._pid = pid
        self._untold: deque[Anything] = deque()

    @property
    def listens(self) -> bool:
        """Whether it has taken everything that was told."""
        return not self._untold

    def send(self, message: Anything, fds: Iterable[int] = ()) -> None:
        """Send at the beginning, when the decoder does nothing but listen; descriptors only travel so.

        What was told before goes first. PellucidError, with the decoder's own reason where it gave one, when it is gone.
        """
        self._untold.append(message)
        while self._untold:
            last = list(fds) if len(self._untold) == 1 else []
            if not self._channel.send(self._untold.popleft(), last):
                self._hear()
                raise PellucidError(self.failure or GONE)

    def tell(self, message: Anything) -> None:
        """Send without waiting: what the decoder does not take yet, for its output is slow, follows later."""
        self._untold.append(message)
        self._tell_more()

    def introduce(self, target: Target) -> bool:
        """Tell of a target before it can have records; false where the decoder does not listen now."""
        return self.listens and self._channel.send(Tell(target), wait=False)

    def withdraw(self, target: Target) -> None:
        """Tell of one that was introduced, but could not be attached to."""
        self.tell(Tell(structs.replace(target, watched=False)))

    def attend(self, others: set[int], patience_ms: float | None) -> set[int]:
        """Wait for the decoder, and for `others` to be readable; which of these are."""
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN | (select.POLLOUT if self._untold else 0))
        for fd in others:
            poll.register(fd, select.POLLIN)
        ready = dict(poll.poll(patience_ms))
        state = ready.pop(self._channel.fileno(), 0)
        if state & (select.POLLIN | select.POLLHUP):
            self._hear()
        elif state:
            self._tell_more()
        return set(ready)

    def wait_until_done(self, interrupted: int) -> None:
        """Until everything is written, or it failed; when that takes long, a byte in `interrupted` ends it."""
        deadline, may_interrupt = time.monotonic() + SLOW_END, False
        while not self._done and self.failure is None:
            left = None if may_interrupt else max(deadline - time.monotonic(), 0) * 1000
            if self.attend({interrupted} if may_interrupt else set(), left):
                self.failure = "interrupted again: not everything that was captured is written"
            if not may_interrupt and time.monotonic() >= deadline:
                log.warning("still writing what was captured; interrupt again to end without it")
                forget(interrupted)
                may_interrupt = True

    def close(self) -> None:
        """End it by closing the channel, and wait for its end."""
        self._channel.send(Finish(), wait=False)
        self._channel.close()
        process = os.pidfd_open(self._pid)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(LAST_WORDS_MS):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(process)

    def _tell_more(self) -> None:
        while self._untold and self._channel.send(self._untold[0], wait=False):
            self._untold.popleft()

    def _hear(self) -> None:
        """Take one message of the decoder, and remember what it means."""
        message, fds = self._channel.receive()
        for fd in fds:  # the decoder has none to give
            os.close(fd)
        self.heard = True
        if isinstance(message, Failed):
            self.failure = message.reason
        elif isinstance(message, Done):
            self._done = True
        elif message is None and not self._done and self.failure is None:
            self.failure = GONE
