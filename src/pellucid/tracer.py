"""The tracer: the privileged process. It finds, loads, attaches and opens files; it reads no captured byte."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pellucid.attach.loader import Filter, Tracing, find_sites, ring_bytes
from pellucid.channel import Done, Failed, Finish, Outputs, Ring, Settle, Tell
from pellucid.clock import Clocks, boot_ns
from pellucid.errors import PellucidError
from pellucid.log import log
from pellucid.model import End, Offsets, Target
from pellucid.outputs import open_output
from pellucid.probes.plaintext import OBJECT
from pellucid.signals import forget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.sites import Site
    from pellucid.attach.targets import FoundTarget
    from pellucid.channel import Anything, Channel
    from pellucid.settings import Tls
    from pellucid.sink import SinkSpec

OBJECT_ID = 1
TICK_MS = 1000
"""How often the clocks are compared, and what the kernel could not say is collected."""

LAST_WRITES_NS = 250_000_000
"""How long the end waits for writes in progress: what a peer has answered was written before."""

OFFSETS_PER_MESSAGE = 1000
SLOW_END_MS = 2000
"""After which a user who waits for the end is told why, and may cut it short."""

LAST_WORDS_MS = 1000
"""How long the decoder may still take to end when nobody listens to it any more."""


class Tracer:
    """One capture: `begin`, then `wait` for its end, then `finish`."""

    def __init__(self, channel: Channel, decoder: int, settings: Tls) -> None:
        self._channel = channel
        self._decoder = decoder
        self._settings = settings
        self._clocks = Clocks()
        self._tracing: Tracing | None = None
        self._failure: str | None = None
        self._done = False

    def begin(self, specs: list[SinkSpec], library: Library, targets: list[FoundTarget]) -> None:
        """Open the outputs, load, hand the ring over, attach. On an error nothing stays attached."""
        settings = self._settings
        self._hand_over_outputs(specs, settings.record)
        self._tell_clock()
        with cgroup(settings.cgroup_path) as cgroup_fd:
            who = Filter(settings.pid, settings.uid, cgroup_fd)
            self._tracing = tracing = Tracing(OBJECT, ring_bytes(settings.mapsize), who)
        ring = tracing.ring
        self._send(Ring(OBJECT_ID, ring.max_entries, tracing.btf), [ring.fd])
        missing = tracing.attach_tracepoints()
        if missing:
            log.debug("this kernel lacks %s: fewer addresses will be known", " and ".join(missing))
        for number, target in enumerate(targets, start=1):
            self._attach(tracing, number, target, library)
        if settings.ready_file:
            os.close(open_output(str(settings.ready_file)))
        log.info("ready: watching %s", _count(targets))

    def _attach(self, tracing: Tracing, number: int, target: FoundTarget, library: Library) -> None:
        sites = find_sites(target, library, entry_only=self._settings.sites == "entry")
        _log_sites(target, sites)
        kind = sites[0].kind
        self._send(Tell(Target(id=number, library=target.library, path=target.display, site=kind)))
        tracing.attach(target, number, library, sites)

    def _hand_over_outputs(self, specs: list[SinkSpec], recording: Path | None) -> None:
        places = [spec.place for spec in specs] + ([str(recording)] if recording else [])
        if recording:
            log.warning("the recording %s will hold secrets in plain text: keep it private", recording)
        names = ["stdout" if place == "-" else place for place in places]
        sinks = [(spec.format, name) for spec, name in zip(specs, names, strict=False)]
        with ExitStack() as opened:
            fds = [open_output(place) for place in places]
            for fd in fds:
                opened.callback(os.close, fd)
            self._send(Outputs(sinks, names[-1] if recording else None), fds)

    def _tell_clock(self) -> None:
        """Send both clocks when the relation between them is not what it was."""
        clock = self._clocks.changed()
        if clock is not None:
            self._send(Tell(clock))

    def _send(self, message: Anything, fds: Iterable[int] = ()) -> None:
        if not self._channel.send(message, list(fds)):
            self._hear()
            raise PellucidError(self._failure or "the decoder ended unexpectedly")

    def wait(self, interrupted: int) -> None:
        """Until a signal (a byte in the pipe `interrupted`), `--duration`, or the decoder has had enough."""
        deadline = time.monotonic() + (self._settings.duration or float("inf"))
        poll = select.poll()
        poll.register(interrupted, select.POLLIN)
        poll.register(self._channel.fileno(), select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(min(TICK_MS, left * 1000))}
            if self._channel.fileno() in ready:
                self._hear()
            if ready:
                return
            self._tell_clock()
            if self._tracing:
                self._tell_unsaid_ends(self._tracing)

    def _tell_unsaid_ends(self, tracing: Tracing) -> None:
        for some in _groups(tracing.unsaid_ends(), OFFSETS_PER_MESSAGE):
            self._send(Tell(Offsets(boot_ns(), some, closed=True)))

    def _hear(self) -> Anything | None:
        """Take one message of the decoder, and remember what it means."""
        message, fds = self._channel.receive()
        for fd in fds:  # the decoder has none to give
            os.close(fd)
        if isinstance(message, Failed):
            self._failure = message.reason
        elif isinstance(message, Done):
            self._done = True
        elif message is None and not self._done and self._failure is None:
            self._failure = "the decoder ended unexpectedly"
        return message

    def finish(self, interrupted: int) -> None:
        """Let the decoder write everything, then detach. Raises what went wrong on either side.

        `interrupted` is as for `wait`: when writing takes long, another signal ends it.
        """
        try:
            if self._tracing and self._failure is None:
                self._end_stream(self._tracing)
            self._wait_until_written(interrupted)
        finally:
            self.abandon()
        if self._failure is not None:
            raise PellucidError(self._failure)

    def _wait_until_written(self, interrupted: int) -> None:
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        patience: int | None = SLOW_END_MS
        while not self._done and self._failure is None:
            ready = {fd for fd, _ in poll.poll(patience)}
            if self._channel.fileno() in ready:
                self._hear()
            elif ready:
                self._failure = "interrupted again: not everything that was captured is written"
            else:
                log.warning("still writing what was captured; interrupt again to end without it")
                forget(interrupted)
                poll.register(interrupted, select.POLLIN)
                patience = None

    def _end_stream(self, tracing: Tracing) -> None:
        asked = boot_ns()
        while tracing.writes_since_before(asked) and boot_ns() < asked + LAST_WRITES_NS:
            select.select([], [], [], 0.002)
        tracing.stop()
        end = boot_ns()
        self._send(Settle())
        self._tell_clock()
        self._send(Tell(tracing.drops()))
        self._tell_unsaid_ends(tracing)
        for some in _groups(tracing.offsets(), OFFSETS_PER_MESSAGE):
            self._send(Tell(Offsets(end, some)))
        self._send(Tell(End(end)))
        self._send(Finish())

    def abandon(self) -> None:
        """Detach, and end the decoder by closing the channel."""
        if self._tracing:
            self._tracing.close()
        self._channel.send(Finish(), wait=False)
        self._channel.close()
        _reap(self._decoder)


def _reap(pid: int) -> None:
    """Wait for the decoder, which ends with the channel unless something holds it up."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if not poll.poll(LAST_WORDS_MS):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(process)


def _groups(rows: Iterable[tuple[int, int, int]], size: int) -> Iterator[list[tuple[int, int, int]]]:
    group: list[tuple[int, int, int]] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _count(targets: list[FoundTarget]) -> str:
    names = ", ".join(sorted({target.library for target in targets}))
    return f"{len(targets)} target{'s'[: len(targets) != 1]} ({names})"


def _log_sites(target: FoundTarget, sites: list[Site]) -> None:
    for site in sites:
        log.debug(
            "%s: %s at %#x, %s, %s%s",
            target.display,
            site.symbol,
            site.offset,
            site.kind,
            "emulated" if site.emulated else "single-stepped",
            f" ({site.reason})" if site.reason else "",
        )


@contextmanager
def cgroup(path: Path | None) -> Iterator[int | None]:
    """A descriptor of a cgroup's directory, for as long as the kernel needs it to find the group."""
    if path is None:
        yield None
        return
    if not (path / "cgroup.controllers").exists():  # version 1 has no such file
        raise PellucidError(f"{path} is not a directory of cgroup v2: see `mount -t cgroup2`")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
