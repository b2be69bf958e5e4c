"""The outputs of a run, as the process that may open things has them: opened at the start, and anew when asked.

The other process says no more than an output's number. What is opened for it then is the next file of the same
name, or another connection to the same address: nothing that it says names anything.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import time
from typing import TYPE_CHECKING

from pellucid.channel import NextFile, NotOpened, Opened, Reconnect
from pellucid.dial import Dialer
from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.outputs import empty_output, end_line, name_of, open_output
from pellucid.peer import Peer
from pellucid.rotation import Limits, RotatedFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.channel import Anything, Channel
    from pellucid.settings import Show
    from pellucid.sink import SinkSpec

_MIB = 1 << 20


class Places:
    """The outputs by their number: the place in the list that `open` is given."""

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._names: list[str] = []
        self._redact = False
        self._files: dict[int, RotatedFile] = {}
        self._dialers: dict[int, Dialer] = {}
        self._staying: set[int] = set()
        """Files that are appended to, by the log as well or by their own format."""
        self._wake = select.epoll()
        self._answers: list[tuple[Anything, int | None]] = []

    def open(self, specs: Sequence[SinkSpec], settings: Show) -> list[int]:
        """A descriptor for each; they stay this object's, and regular files keep what they hold until `empty`.

        PellucidError for the first that cannot be opened, with everything before it closed by `close`.
        """
        self._redact = settings.masks
        for number, spec in enumerate(specs):
            self._fds.append(self._open(number, spec, settings))
            self._names.append(spec.place)
        return self._fds

    def _open(self, number: int, spec: SinkSpec, settings: Show) -> int:
        if spec.endpoint is not None:
            self._dialers[number] = dialer = Dialer(spec.endpoint, name_of(spec.place))
            return dialer.connect()
        if spec.may_rotate and rotates(settings):
            self._files[number] = file = RotatedFile(spec.place, _limits(settings))
            return file.open()
        fd = open_output(spec.place)
        if spec.stays:
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
            self._staying.add(number)
        return fd

    def empty(self) -> None:
        """Have every file begin anew: what an earlier run left is removed, or put aside where files rotate."""
        for number, fd in enumerate(self._fds):
            status = os.fstat(fd)
            if number in self._files and status.st_size:
                self._fds[number] = self._files[number].following()
                os.close(fd)
                if self._redact:
                    log.info(
                        "%s: what an earlier run left there is put aside as it was, not masked",
                        self._names[number],
                    )
            elif number in self._staying:
                end_line(fd)
            elif stat.S_ISREG(status.st_mode):
                empty_output(fd)

    def copies(self) -> list[int]:
        """The descriptors of `open` once more, for whoever writes in this process."""
        return [os.dup(fd) for fd in self._fds]

    def let_go(self) -> None:
        """Close the descriptors of `open`: the other process has its own by now."""
        while self._fds:
            os.close(self._fds.pop())

    # --- while the run goes on -------------------------------------------------------------------------

    def fileno(self) -> int:
        """For poll(2): readable when `answers` has something to do."""
        return self._wake.fileno()

    def patience_ms(self) -> float | None:
        """How long until `answers` has something to do even if nothing happens; None for ever."""
        due = [dialer.due for dialer in self._dialers.values() if dialer.due is not None]
        return max(min(due) - time.monotonic(), 0) * 1000 if due else None

    def hear(self, message: NextFile | Reconnect) -> None:
        """Take what the other process asks for; PellucidError for an output that can have none of it."""
        number = message.output
        if isinstance(message, NextFile) and number in self._files:
            try:
                self._answers.append((Opened(number), self._files[number].following(asked=True)))
            except PellucidError as error:
                self._answers.append((NotOpened(number, str(error)), None))
        elif isinstance(message, Reconnect) and number in self._dialers:
            self._dialers[number].ask()
        else:
            raise PellucidError(f"the decoder does not make sense: it asks for a new output {number}")

    def answers(self) -> Iterator[tuple[Anything, int | None]]:
        """What to say, with a descriptor that is then the taker's."""
        for number, dialer in self._dialers.items():
            fd = dialer.step(self._wake)
            if fd is not None:
                yield Opened(number), fd
        while self._answers:
            yield self._answers.pop(0)

    def close(self) -> None:
        """Open nothing more."""
        self.let_go()
        for _, fd in self._answers:
            if fd is not None:
                os.close(fd)
        for file in self._files.values():
            file.close()
        for dialer in self._dialers.values():
            dialer.close()
        self._files.clear()
        self._dialers.clear()
        self._wake.close()


def rotates(settings: Show) -> bool:
    """Whether files give way to others."""
    return bool(settings.rotate_size or settings.rotate_time)


def _limits(settings: Show) -> Limits:
    return Limits(settings.rotate_size * _MIB, settings.rotate_time, settings.rotate_keep)


def serve(channel: Channel, places: Places) -> None:
    """Open what is asked for, until the other end of the channel is closed."""
    peer = Peer(channel, 0, places)
    while not peer.heard:
        peer.attend(set(), None)
