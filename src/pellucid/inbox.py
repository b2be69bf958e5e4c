"""The decoder's end of the channel: an output gets what it has asked for at once, everything else waits its turn."""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING

from pellucid.channel import Logged, NextFile, NotOpened, Opened, Reconnect
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.channel import Anything, Channel


class Inbox:
    """Messages in order, but for descriptors of outputs: these go to whoever asked."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[tuple[Anything | None, list[int]]] = deque()
        self._takers: dict[int, Callable[[int], None]] = {}
        self.connections = select.epoll()
        """Connections of outputs register here; it is readable when one of them can go on: flush it."""
        self.log: Callable[[str], None] = lambda _line: None
        """Takes the lines of the other process's log."""
        self.gone = False
        """The other process is gone: what is asked for will not come."""

    def fileno(self) -> int:
        """For poll(2); but see `pending`."""
        return self._channel.fileno()

    @property
    def pending(self) -> bool:
        """Whether a message was received already."""
        return bool(self._waiting)

    def readable(self) -> bool:
        """Whether `receive` would not wait."""
        return self.pending or self._channel.readable()

    def receive(self) -> tuple[Anything | None, list[int]]:
        """As `Channel.receive`; an answer to what an output asked for has no descriptor any more."""
        return self._waiting.popleft() if self._waiting else self._receive()

    def _receive(self) -> tuple[Anything | None, list[int]]:
        message, fds = self._channel.receive()
        if message is None:
            self.gone = True
        elif isinstance(message, Logged):
            self.log(message.line)
        elif isinstance(message, NotOpened):
            raise PellucidError(message.reason)
        elif isinstance(message, Opened):
            self._takers.pop(message.output)(fds.pop())
        return message, fds

    def next_file(self, output: int) -> int | None:
        """The descriptor of the next file, waited for; None when nobody is there to open it.

        PellucidError where it cannot be had.
        """
        got: list[int] = []
        self._takers[output] = got.append
        self.gone = not self._channel.send(NextFile(output)) or self.gone
        while not got and not self.gone:
            self._waiting.append(self._receive())
        return got[0] if got else None

    def reconnect(self, output: int, taker: Callable[[int], None]) -> None:
        """Ask for another connection; `taker` gets it with one of the messages that are received later."""
        self._takers[output] = taker
        self.gone = not self._channel.send(Reconnect(output)) or self.gone

    def wait(self, patience_ms: float | None) -> None:
        """Until a connection can go on, a message came, or so long."""
        poll = select.poll()
        poll.register(self.connections, select.POLLIN)
        if not self.gone:
            poll.register(self._channel.fileno(), select.POLLIN)
        if self._channel.fileno() in dict(poll.poll(patience_ms)):
            self._waiting.append(self._receive())
