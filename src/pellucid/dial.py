"""Connections to `tcp://` and `ws://` places: made by the process with privileges, written to by the other."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.sink import Endpoint

FIRST_WAIT = 1.5
"""Seconds for all addresses together at the start: what cannot be written to is said within two."""

LEAST_DELAY, MOST_DELAY = 0.1, 5.0
"""Seconds between two attempts to connect again: twice as many after each failure."""

PATIENCE = 5.0
"""Seconds for one such attempt; as long a connection must have lasted to begin with LEAST_DELAY again."""

IDLE, BETWEEN, PROBES = 30, 10, 3
"""Seconds until a peer that sends nothing is asked whether it is there, seconds until it is asked again, and how often.
Not TCP_USER_TIMEOUT: that would also end the connection of a reader who only stops for a while."""

SEND_BUFFER = 128 * 1024
"""Bytes that the kernel is asked to hold (it takes twice as many): the rest waits where it can be counted."""

_Address = tuple[socket.AddressFamily, Any]


class Dialer:
    """One place. `connect` at the start; afterwards `ask`, and `step` whenever there may be something to do."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        self._name = name
        self._addresses = _resolve(endpoint, name)
        self._next = 0
        self._delay = LEAST_DELAY
        self._connected = time.monotonic()
        self._due: float | None = None
        """When to try again, or to give up the attempt that is under way; None where nobody asks."""
        self._trying: socket.socket | None = None

    @property
    def due(self) -> float | None:
        """When `step` has something to do even if nothing happens (monotonic seconds); None for never."""
        return self._due

    def connect(self) -> int:
        """A connection, not blocking; PellucidError where nobody is there."""
        deadline = time.monotonic() + FIRST_WAIT
        reason = "nobody answers"
        for _ in self._addresses:
            attempt = self._attempt()
            if isinstance(attempt, int):
                reason = os.strerror(attempt)
                continue
            state = _wait(attempt, deadline)
            if not state:
                return attempt.detach()
            attempt.close()
            reason = os.strerror(state)
        raise PellucidError(f"cannot write to {self._name}: {reason}")

    def ask(self) -> None:
        """Have a new connection made, soon; asking twice is asking once."""
        now = time.monotonic()
        if self._due is not None:
            return
        if now - self._connected > PATIENCE:
            self._delay = LEAST_DELAY
        self._due = now + self._delay

    def step(self, wake: select.epoll) -> int | None:
        """Go on; a new connection once there is one. While it is under way it is registered in `wake`."""
        if self._due is None:
            return None
        if self._trying is None:
            if time.monotonic() >= self._due:
                self._begin(wake)
            return None
        state = _state(self._trying)
        if state == errno.EINPROGRESS and time.monotonic() < self._due:
            return None
        wake.unregister(self._trying)
        attempt, self._trying = self._trying, None
        self._delay = min(self._delay * 2, MOST_DELAY)
        if state:
            attempt.close()
            self._due = time.monotonic() + self._delay
            return None
        self._due = None
        self._connected = time.monotonic()
        return attempt.detach()

    def close(self) -> None:
        """Give up what is under way."""
        if self._trying is not None:
            self._trying.close()
        self._trying = self._due = None

    def _begin(self, wake: select.epoll) -> None:
        attempt = self._attempt()
        if isinstance(attempt, int):
            self._delay = min(self._delay * 2, MOST_DELAY)
            self._due = time.monotonic() + self._delay
        else:
            self._trying = attempt
            self._due = time.monotonic() + PATIENCE
            wake.register(attempt, select.EPOLLOUT)

    def _attempt(self) -> socket.socket | int:
        """Begin to connect to the next address; an errno where that fails at once."""
        family, address = self._addresses[self._next % len(self._addresses)]
        self._next += 1
        try:
            attempt = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 here (ipv6.disable=1), no descriptor left
            return error.errno or errno.EIO
        state = _begin_to_connect(attempt, address)
        if state in {0, errno.EINPROGRESS}:
            return attempt
        attempt.close()
        return state


def _begin_to_connect(attempt: socket.socket, address: Any) -> int:
    """0, EINPROGRESS or why it failed."""
    attempt.setblocking(False)
    try:
        for level, option, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, BETWEEN),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        ):
            attempt.setsockopt(level, option, value)
        return attempt.connect_ex(address)
    except OSError as error:
        return error.errno or errno.EIO


def _resolve(endpoint: Endpoint, name: str) -> list[_Address]:
    """All addresses of the host, as of now; PellucidError for one that has none."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise PellucidError(f"cannot write to {name}: {reason}") from error
    return [(family, address) for family, _, _, _, address in found]


def _wait(attempt: socket.socket, deadline: float) -> int:
    """Wait for the outcome: 0 or an errno."""
    poll = select.poll()
    poll.register(attempt, select.POLLOUT)
    poll.poll(max(deadline - time.monotonic(), 0) * 1000)
    state = _state(attempt)
    return errno.ETIMEDOUT if state == errno.EINPROGRESS else state


def _state(attempt: socket.socket) -> int:
    """What has become of an attempt: 0, EINPROGRESS or why it failed."""
    poll = select.poll()
    poll.register(attempt, select.POLLOUT)
    if not poll.poll(0):
        return errno.EINPROGRESS
    return attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
