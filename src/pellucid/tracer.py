"""The tracer: the privileged process. It finds, loads, attaches and opens files; it reads no captured byte."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pellucid.attach.attacher import Arrivals, Attacher
from pellucid.attach.cgroups import cgroup, cgroup_of, root
from pellucid.attach.filters import Filter, comms
from pellucid.attach.loader import Tracing, ring_bytes
from pellucid.attach.roster import Roster
from pellucid.channel import Done, Failed, Finish, Outputs, Ring, Settle, Tell
from pellucid.clock import Clocks, boot_ns
from pellucid.ends import ends
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.model import End, Offsets, Target
from pellucid.outputs import empty_output, name_of, open_output
from pellucid.probes.plaintext import OBJECT
from pellucid.signals import forget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.channel import Anything, Channel
    from pellucid.settings import Tls
    from pellucid.sink import SinkSpec

OBJECT_ID = 1
DECODER_GONE = "the decoder ended unexpectedly"
TICK_MS = 1000
"""How often the clocks are compared, and what the kernel could not say is collected."""

LAST_WRITES_NS = 250_000_000
"""How long the end waits for writes in progress: what a peer has answered was written before."""

OFFSETS_PER_MESSAGE = 1000
SLOW_END = 2.0
"""Seconds after which a user who waits for the end is told why, and may cut it short."""

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
        self._heard = False
        self._untold: deque[Anything] = deque()
        self._arrivals: Arrivals | None = None

    def begin(self, specs: list[SinkSpec], library: Library, targets: list[FoundTarget]) -> None:
        """Open the outputs, load, attach, and let the decoder begin. On an error nothing stays attached."""
        settings = self._settings
        with self._outputs(specs, settings.record) as (outputs, fds):
            tracing = self._load()
            attacher = Attacher(tracing, library, entry_only=settings.sites == "entry")
            known = [attacher.attach(attacher.plan(found)) for found in targets]
            if not settings.libssl:  # else just these files are meant
                roster = Roster(
                    library, None if settings.follow else settings.pid, [found.key for found in targets]
                )
                self._arrivals = Arrivals(attacher, roster, self._introduce)
                known += self._arrivals.mapped()
            if settings.ready_file:
                os.close(open_output(str(settings.ready_file)))
            for fd in fds:
                empty_output(fd)
            self._send(outputs, fds)
        self._tell_clock()
        for target in known:
            self._tell(Tell(target))
        self._send(Ring(OBJECT_ID, tracing.ring.max_entries, tracing.btf), [tracing.ring.fd])
        log.info("ready: watching %s", _count(known))

    def _load(self) -> Tracing:
        settings = self._settings
        with cgroup(settings.cgroup_path) as cgroup_fd:
            who = Filter(
                pid=settings.pid,
                follow=settings.follow,
                uid=settings.uid,
                comms=comms(settings.comm),
                cgroup_fd=cgroup_fd,
                ends=ends(settings.port, settings.host),
            )
            self._tracing = tracing = Tracing(OBJECT, ring_bytes(settings.mapsize), who)
        missing = tracing.attach_tracepoints()
        if missing:
            log.debug("this kernel lacks %s: fewer addresses will be known", " and ".join(missing))
        if settings.follow and settings.pid is not None:
            number = tracing.follow(settings.pid)
            log.debug("following process %d, with %d descendants so far", settings.pid, number)
        self._attach_hello(tracing)
        return tracing

    def _attach_hello(self, tracing: Tracing) -> None:
        """See handshakes of nobody else than necessary: of the cgroup that the filters name or imply."""
        settings = self._settings
        alone = settings.pid if not settings.follow else None  # a child may move to any cgroup
        path = settings.cgroup_path or (cgroup_of(alone) if alone else None) or root()
        reason = "cgroup v2 is not mounted"
        with cgroup(path) as fd:
            if fd is not None:
                try:
                    tracing.attach_hello(fd)
                except BpfError as error:
                    reason = str(error)
                else:
                    return
        log.debug("%s: TLS that goes through memory will have no addresses", reason)

    def _introduce(self, target: Target) -> bool:
        """Tell the decoder of a target before it can have records; false where it does not listen now."""
        return not self._untold and self._channel.send(Tell(target), wait=False)

    @contextmanager
    def _outputs(self, specs: list[SinkSpec], recording: Path | None) -> Iterator[tuple[Outputs, list[int]]]:
        """Open every output; they are emptied once nothing else can fail."""
        places = [spec.place for spec in specs] + ([str(recording)] if recording else [])
        names = [name_of(place) for place in places]
        sinks = [(spec.format, name) for spec, name in zip(specs, names, strict=False)]
        with ExitStack() as opened:
            fds = [open_output(place) for place in places]
            for fd in fds:
                opened.callback(os.close, fd)
            if recording:
                log.warning("the recording %s will hold secrets in plain text: keep it private", recording)
            yield Outputs(sinks, names[-1] if recording else None), fds

    def _tell_clock(self) -> None:
        """Tell both clocks when the relation between them is not what it was."""
        clock = self._clocks.changed()
        if clock is not None:
            self._tell(Tell(clock))

    def _tell_unsaid_ends(self, tracing: Tracing) -> None:
        for some in _groups(tracing.unsaid_ends(), OFFSETS_PER_MESSAGE):
            self._tell(Tell(Offsets(boot_ns(), some, closed=True)))

    def _send(self, message: Anything, fds: Iterable[int] = ()) -> None:
        """Send at the beginning, when the decoder does nothing but listen; descriptors only travel so."""
        if not self._channel.send(message, list(fds)):
            self._hear()
            raise PellucidError(self._failure or DECODER_GONE)

    def _tell(self, message: Anything) -> None:
        """Send without waiting: what the decoder does not take yet, for its output is slow, follows later."""
        self._untold.append(message)
        self._tell_more()

    def _tell_more(self) -> None:
        while self._untold and self._channel.send(self._untold[0], wait=False):
            self._untold.popleft()

    def wait(self, interrupted: int) -> None:
        """Until a signal (a byte in the pipe `interrupted`), `--duration`, the end of the process that `--pid`
        names (with `--follow` of the last descendant too), or until the decoder has had enough.
        """
        tick = time.monotonic()
        deadline = tick + (self._settings.duration or float("inf"))
        with _process(None if self._settings.follow else self._settings.pid) as process:
            while (left := deadline - time.monotonic()) > 0 and not self._heard:
                ready = self._attend({interrupted, *process, *self._expecting()}, min(TICK_MS, left * 1000))
                if ready & process:
                    log.info("process %d has ended", self._settings.pid)
                if ready & {interrupted, *process} or self._all_have_ended():
                    return
                if ready and self._tracing:
                    _leave_overwritten(self._tracing)
                if self._arrivals:
                    self._arrivals.meet()
                if time.monotonic() >= tick:
                    tick = time.monotonic() + TICK_MS / 1000
                    self._at_tick()

    def _expecting(self) -> set[int]:
        """What is readable when a file turns up, or one that is watched is written into."""
        overwrites = {self._tracing.overwrites.fd} if self._tracing else set()
        return overwrites | (self._arrivals.filenos() if self._arrivals else set())

    def _at_tick(self) -> None:
        self._tell_clock()
        if self._tracing and not self._untold:
            self._tell_unsaid_ends(self._tracing)
        if self._arrivals:
            self._arrivals.renew()

    def _all_have_ended(self) -> bool:
        """Whether nobody is left of those that `--follow` means."""
        if not self._settings.follow or (self._tracing and self._tracing.follows_anybody()):
            return False
        log.info("process %d and all its descendants have ended", self._settings.pid)
        return True

    def _attend(self, others: set[int], patience_ms: float | None) -> set[int]:
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

    def _hear(self) -> None:
        """Take one message of the decoder, and remember what it means."""
        message, fds = self._channel.receive()
        for fd in fds:  # the decoder has none to give
            os.close(fd)
        self._heard = True
        if isinstance(message, Failed):
            self._failure = message.reason
        elif isinstance(message, Done):
            self._done = True
        elif message is None and not self._done and self._failure is None:
            self._failure = DECODER_GONE

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
        deadline, may_interrupt = time.monotonic() + SLOW_END, False
        while not self._done and self._failure is None:
            left = None if may_interrupt else max(deadline - time.monotonic(), 0) * 1000
            if self._attend({interrupted} if may_interrupt else set(), left):
                self._failure = "interrupted again: not everything that was captured is written"
            if not may_interrupt and time.monotonic() >= deadline:
                log.warning("still writing what was captured; interrupt again to end without it")
                forget(interrupted)
                may_interrupt = True

    def _end_stream(self, tracing: Tracing) -> None:
        asked = boot_ns()
        while tracing.writes_since_before(asked) and boot_ns() < asked + LAST_WRITES_NS:
            select.select([], [], [], 0.002)
        tracing.stop()
        end = boot_ns()
        self._tell(Settle())
        self._tell_clock()
        self._tell(Tell(tracing.drops()))
        self._tell_unsaid_ends(tracing)
        for some in _groups(tracing.offsets(), OFFSETS_PER_MESSAGE):
            self._tell(Tell(Offsets(end, some)))
        self._tell(Tell(End(end)))
        self._tell(Finish())

    def abandon(self) -> None:
        """Detach, and end the decoder by closing the channel."""
        if self._arrivals:
            self._arrivals.close()
        if self._tracing:
            self._tracing.close()
        self._channel.send(Finish(), wait=False)
        self._channel.close()
        _reap(self._decoder)


def _leave_overwritten(tracing: Tracing) -> None:
    for path in tracing.detach_overwritten():
        log.warning(
            "%s was written into: it is watched no more, for probes on what was there before "
            "would harm programs that load it",
            path,
        )


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


def _count(targets: list[Target]) -> str:
    if not targets:
        return "for programs to come: no target yet"
    names = ", ".join(sorted({target.library for target in targets}))
    return f"{len(targets)} target{'s'[: len(targets) != 1]} ({names})"


@contextmanager
def _process(pid: int | None) -> Iterator[set[int]]:
    """A descriptor that is readable once the process has ended; none without a process."""
    if pid is None:
        yield set()
        return
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise PellucidError(f"process {pid} ended before the capture began") from None
    try:
        yield {fd}
    finally:
        os.close(fd)
