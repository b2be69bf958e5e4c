"""An output to a connection: it never waits for the reader, makes another when one is lost, and counts what it drops.

Messages stay here until the other end's kernel has acknowledged them. When a connection is lost, those that were
not begin the next one, whole: so a message may come twice, and one of which the first half was read comes again.
What a reader had acknowledged and then did not read cannot be known.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.sink.framing import ConnectionEnded
from pellucid.sink.output import Missed, Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.inbox import Inbox
    from pellucid.sink.framing import Plain

AT_ONCE = 64 * 1024
"""Bytes gathered for one send(2)."""

MOST_READS = 16
"""How often a flush reads."""

HANDSHAKE = 5.0
"""Seconds in which the other end must have agreed to WebSocket."""

LAST_WAIT = 1.0
"""Seconds without any progress after which the end is not held up any longer."""

_LOOK_MS = 10
"""How often to look whether the other end has acknowledged: no descriptor tells."""


class Remote(Output):
    """A connection, and the queue before it: at most `limit` bytes, or one message of any size.

    With `patient`, as in a replay, a full queue is waited for. `framing` makes what one connection needs.
    """

    def __init__(
        self, fd: int, name: str, number: int, inbox: Inbox, framing: Callable[[], Plain], limit: int,
        *, framed: bool, patient: bool,
    ) -> None:  # fmt: skip
        super().__init__(fd, name)
        self.framed = framed
        self._number = number
        self._inbox = inbox
        self._make = framing
        self._limit = limit
        self._patient = patient
        self._waiting: deque[bytes] = deque()
        self._given: deque[tuple[int, bytes]] = deque()
        """Messages given to the connection, each with the count of its bytes at their end."""
        self._held = 0
        """Bytes of the messages in both."""
        self._moved = time.monotonic()
        """When the reader last took something, or there was something for it again."""
        self._missed = Missed(0, 0)
        self._proven = False
        """A connection has taken a message, or could have."""
        self._closed = False
        self._take(fd)

    # --- as an output -----------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue one message, or count it where there is no room for it."""
        while self._patient and self._is_full(len(data)):
            self._inbox.wait(_LOOK_MS)
            self.flush()
            self._give_up_without_help()
        if self._closed:
            return  # a last line of the log: it is on stderr
        if self._missed.messages or self._is_full(len(data)):
            self._missed = Missed(self._missed.messages + 1, self._missed.size + len(data))
            return
        if not self._held:
            self._moved = time.monotonic()
        self._waiting.append(bytes(data))
        self._held += len(data)

    def missed(self) -> Missed | None:
        """What was dropped, once and only when there is room again: half of the queue."""
        missed = self._missed
        if not missed.messages or self._held > self._limit // 2:
            return None
        self._missed = Missed(0, 0)
        log.warning("%s: %d messages (%d bytes) did not fit into its queue", self.name, *missed)
        return missed

    def flush(self) -> None:
        """Send what the connection takes now. PellucidError only where the very first one turns out to be none."""
        if self._fd < 0:
            return
        try:
            self._hear()
            self._send_more()
            self._forget()
        except ConnectionEnded as ended:
            with suppress(OSError):
                self._forget()
            self._lose(str(ended))
        except OSError as error:
            self._lose(error.strerror or str(error))
        else:
            self._watch()

    def settle(self) -> None:
        """Wait until everything has arrived, no longer than LAST_WAIT without progress; as long as it takes if patient."""
        self.flush()
        while self._may_progress():
            self._inbox.wait(_LOOK_MS)
            self.flush()

    def _may_progress(self) -> bool:
        """Whether something is left to send, and somebody to send it to, or who could make a connection."""
        if self._closed or not (self._held or self._wire):
            return False
        if self._patient:
            return self._fd >= 0 or not self._inbox.gone
        return not self._inbox.gone and time.monotonic() - self._moved < LAST_WAIT

    def close(self) -> None:
        """Settle, take leave, and say in the log what has not arrived. Closing again does nothing."""
        if self._closed:
            return
        self.settle()
        self._closed = True
        left = len(self._waiting) + len(self._given) + self._missed.messages
        if left:
            log.warning("%s: the last %d messages have not arrived", self.name, left)
        if self._fd >= 0:
            with suppress(OSError):
                os.write(self._fd, bytes(self._wire) + self._framing.finish())
            self._drop_connection()

    # --- the connection ---------------------------------------------------------------------------------

    def _take(self, fd: int) -> None:
        """Go on with this connection."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._since = time.monotonic()
        self._framing = self._make()
        self._wire = bytearray(self._framing.begin())
        """What the connection has not taken yet: the rest of a message, and answers between messages."""
        self._taken = 0
        """Bytes that it has taken."""
        self._interest = select.EPOLLIN | select.EPOLLOUT
        self._inbox.connections.register(fd, self._interest)

    def _again(self, fd: int) -> None:
        if self._closed:
            os.close(fd)
            return
        log.info("%s: connected again", self.name)
        self._take(fd)

    def _lose(self, reason: str) -> None:
        """The connection is gone: what was not acknowledged is the first for the next one."""
        self._drop_connection()
        if not self._proven:
            self._closed = True
            raise PellucidError(f"cannot write to {self.name}: {reason}")
        self._waiting.extendleft(message for _, message in reversed(self._given))
        self._given.clear()
        self._wire.clear()
        log.warning("%s: %s; %d messages wait for another connection", self.name, reason, len(self._waiting))
        self._inbox.reconnect(self._number, self._again)

    def _drop_connection(self) -> None:
        fd, self._fd = self._fd, -1
        self._inbox.connections.unregister(fd)
        os.close(fd)

    def _hear(self) -> None:
        """Take what the other end has sent; of one that talks without end, some at a time."""
        for _ in range(MOST_READS):
            try:
                data = os.read(self._fd, AT_ONCE)
            except BlockingIOError:
                break
            if not data:
                raise ConnectionEnded("the other end has closed the connection")
            self._wire += self._framing.receive(data)
        if self._framing.ready:
            self._proven = True
        elif time.monotonic() - self._since > HANDSHAKE:
            raise ConnectionEnded("the server does not answer to WebSocket's handshake")

    def _send_more(self) -> None:
        while self._gather():
            try:
                taken = os.write(self._fd, self._wire)
            except BlockingIOError:
                return
            self._taken += taken
            self._moved = time.monotonic()
            del self._wire[:taken]

    def _gather(self) -> bool:
        """Put messages on the wire, as long as they are few bytes; whether there are any."""
        while self._waiting and self._framing.ready and len(self._wire) < AT_ONCE:
            message = self._waiting.popleft()
            self._wire += self._framing.frame(message)
            self._given.append((self._taken + len(self._wire), message))
        return bool(self._wire)

    def _forget(self) -> None:
        """Let go of the messages that were acknowledged (SIOCOUTQ in tcp(7) counts the bytes that were not)."""
        if not self._given:
            return
        (unacknowledged,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4)))
        while self._given and self._given[0][0] <= self._taken - unacknowledged:
            _, message = self._given.popleft()
            self._held -= len(message)
            self._moved = time.monotonic()

    def _watch(self) -> None:
        """Have `Inbox.connections` tell when there is something to do, and only then."""
        wants = self._wire or (self._waiting and self._framing.ready)
        interest = select.EPOLLIN | (select.EPOLLOUT if wants else 0)
        if interest != self._interest:
            self._interest = interest
            self._inbox.connections.modify(self._fd, interest)

    # --- its measure ------------------------------------------------------------------------------------

    def _is_full(self, more: int) -> bool:
        return bool(self._held) and self._held + more > self._limit

    def _give_up_without_help(self) -> None:
        if self._inbox.gone and self._fd < 0:
            raise PellucidError(f"cannot write to {self.name}: the connection is gone")
