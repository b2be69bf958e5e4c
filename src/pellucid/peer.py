"""The decoder as the tracer knows it: what is said to it, what it has said, and its end."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from msgspec import structs

from pellucid.channel import Done, Failed, Finish, Logged, NextFile, Opened, Reconnect, Tell
from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.signals import forget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.channel import Anything, Channel
    from pellucid.model import Interface, Target
    from pellucid.places import Places

GONE = "the decoder ended unexpectedly"

SLOW_END = 2.0
"""Seconds after which a user who waits for the end is told why, and may cut it short."""

LAST_WORDS_MS = 1000
"""How long the decoder may still take to end when nobody listens to it any more."""

MOST_LOG = 256 * 1024
"""Bytes of memory for lines of the log that the decoder has not taken: some hundred."""

_KEPT_WITH_LINE = 512
"""Bytes that a line takes beside its text."""


class Peer:
    """A running decoder, until `close`. It is never waited for while a capture runs.

    What it asks for of `places` is handed over while `attend` waits.
    """

    def __init__(self, channel: Channel, pid: int, places: Places | None = None) -> None:
        self.heard = False
        """It has said that it has had enough, that it is done, or that it failed; or it is gone."""
        self.failure: str | None = None
        self._done = False
        self._channel = channel
        self._pid = pid
        self._places = places
        self._untold: deque[tuple[Anything, list[int]]] = deque()
        """With descriptors that are closed here once they are sent."""
        self._log_held = 0
        """Bytes of lines of the log among them."""
        self._unlogged = 0
        """Lines that found no room."""

    @property
    def listens(self) -> bool:
        """Whether it has taken everything that was told."""
        return not self._untold

    def send(self, message: Anything, fds: Iterable[int] = ()) -> None:
        """Send at the beginning, when the decoder does nothing but listen; the descriptors stay the caller's.

        What was told before goes first. PellucidError, with the decoder's own reason where it gave one, when it is gone.
        """
        self._untold.append((message, [os.dup(fd) for fd in fds]))
        while self._untold:
            if not self._send_next(wait=True):
                self._hear()
                raise PellucidError(self.failure or GONE)

    def tell(self, message: Anything, fd: int | None = None) -> None:
        """Send without waiting: what the decoder does not take yet, for its output is slow, follows later.

        The descriptor is this object's from now on.
        """
        self._untold.append((message, [] if fd is None else [fd]))
        self._tell_more()

    def tell_log(self, line: str) -> None:
        """Tell of a line of the log, or count it where too many wait; as many are said once the others are sent."""
        if self._unlogged or self._log_held + _memory_of(line) > MOST_LOG:
            self._unlogged += 1
            return
        self._log_held += _memory_of(line)
        self.tell(Logged(line))

    def introduce(self, target: Target | Interface) -> bool:
        """Tell of a target, or an interface, before it can have records; false where the decoder does not listen now."""
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
        if self._places is not None:
            poll.register(self._places.fileno(), select.POLLIN)
            patience_ms = _sooner(patience_ms, self._places.patience_ms())
        ready = dict(poll.poll(patience_ms))
        state = ready.pop(self._channel.fileno(), 0)
        if state & (select.POLLIN | select.POLLHUP):
            self._hear()
        elif state:
            self._tell_more()
        if self._places is not None:
            ready.pop(self._places.fileno(), None)
            for answer, opened in self._places.answers():
                self.tell(answer, opened)
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
        for _, fds in self._untold:
            _close(fds)
        process = os.pidfd_open(self._pid)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        if not poll.poll(LAST_WORDS_MS):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(process)

    def _tell_more(self) -> None:
        while self._untold and self._send_next(wait=False):
            pass

    def _send_next(self, *, wait: bool) -> bool:
        message, fds = self._untold[0]
        sent = self._channel.send(message, fds, wait=wait)
        if sent:
            self._untold.popleft()
            _close(fds)
            if isinstance(message, Logged):
                self._made_room(message.line)
        return sent

    def _made_room(self, line: str) -> None:
        """A line of the log is sent: say after the last of them how many are missing."""
        self._log_held -= _memory_of(line)
        if self._log_held or not self._unlogged:
            return
        missing = f"{self._unlogged} lines of the log are missing here: the outputs were too slow"
        self._unlogged = 0
        self._log_held += _memory_of(missing)
        self._untold.append((Logged(missing), []))

    def _hear(self) -> None:
        """Take one message of the decoder, and remember what it means."""
        message, fds = self._channel.receive()
        _close(fds)  # the decoder has none to give
        if isinstance(message, NextFile | Reconnect) and self._places is not None:
            self._refuse_haste(message.output)
            self._places.hear(message)
            return
        self.heard = True
        if isinstance(message, Failed):
            self.failure = message.reason
        elif isinstance(message, Done):
            self._done = True
        elif message is None and not self._done and self.failure is None:
            self.failure = GONE

    def _refuse_haste(self, output: int) -> None:
        """PellucidError for one that asks again without taking what it has asked for: it could fill the machine."""
        if any(isinstance(message, Opened) and message.output == output for message, _ in self._untold):
            raise PellucidError(f"the decoder does not make sense: it asks for output {output} over and over")


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _memory_of(line: str) -> int:
    return sys.getsizeof(line) + _KEPT_WITH_LINE


def _sooner(one: float | None, other: float | None) -> float | None:
    """The shorter of two waits; None is for ever."""
    return min((wait for wait in (one, other) if wait is not None), default=None)
