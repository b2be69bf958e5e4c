"""The tracer: the privileged process. It finds, loads, attaches and opens files; it reads no captured byte."""

from __future__ import annotations

import os
import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pellucid.channel import Finish, Outputs, Ring, Settle, Tell
from pellucid.clock import Clocks, boot_ns
from pellucid.errors import PellucidError
from pellucid.log import log, log_also_to
from pellucid.model import End, Offsets, Target
from pellucid.outputs import empty_output, open_output
from pellucid.peer import Peer
from pellucid.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pellucid.attach.loaded import Loaded
    from pellucid.channel import Channel
    from pellucid.settings import Capture
    from pellucid.sink import SinkSpec
    from pellucid.watches import Watch

OBJECT_ID = 1
TICK_MS = 1000
"""How often the clocks are compared, and what the kernel could not say is collected."""

LAST_WRITES_NS = 250_000_000
"""How long the end waits for writes in progress: what a peer has answered was written before."""

OFFSETS_PER_MESSAGE = 1000


class Tracer:
    """One capture of what `watch` is about: `begin`, then `wait` for its end, then `finish`."""

    def __init__(self, channel: Channel, decoder: int, settings: Capture, watch: Watch[Any]) -> None:
        self._places = Places()
        self._decoder = Peer(channel, decoder, self._places)
        self._settings = settings
        self._watch = watch
        self._clocks = Clocks()
        self._end_log: Callable[[], None] = lambda: None

    def begin(self, specs: list[SinkSpec]) -> None:
        """Open the outputs, load, attach, and let the decoder begin. On an error nothing stays attached."""
        settings, watch = self._settings, self._watch
        with self._outputs(specs) as (fds, recording):
            loaded, known = watch.begin(self._decoder)
            if settings.ready_file:
                os.close(open_output(str(settings.ready_file)))
            self._places.empty()
            for fd in recording:
                empty_output(fd)
            name = str(settings.record) if recording else None
            self._decoder.send(Outputs(specs, name), [*fds, *recording])
        if any(spec.shared and spec.endpoint for spec in specs):
            self._end_log = log_also_to(self._decoder.tell_log)
        self._tell_clock()
        for context in (*watch.said(), *known):
            self._decoder.tell(Tell(context))
        ring = Ring(OBJECT_ID, loaded.ring.max_entries, loaded.btf, packets=watch.packets)
        self._decoder.send(ring, [loaded.ring.fd])
        what, format = watch.own
        places = [spec.place for spec in specs if spec.format == format]
        if places:
            log.info("%s go to %s", what, ", ".join(places))
        watch.say_left_out()
        log.info("ready: watching %s", _count(known))

    @contextmanager
    def _outputs(self, specs: list[SinkSpec]) -> Iterator[tuple[list[int], list[int]]]:
        """Open every output, and the recording if there is one; they are emptied once nothing else can fail."""
        recording = self._settings.record
        try:
            fds = self._places.open(specs, self._settings)
            if recording is None:
                yield fds, []
                return
            fd = open_output(str(recording))
            try:
                log.warning("the recording %s will hold secrets in plain text: keep it private", recording)
                yield fds, [fd]
            finally:
                os.close(fd)
        finally:
            self._places.let_go()

    def _tell_clock(self) -> None:
        """Tell both clocks when the relation between them is not what it was."""
        clock = self._clocks.changed()
        if clock is not None:
            self._decoder.tell(Tell(clock))

    def _tell_counts(self, loaded: Loaded) -> None:
        """Tell what found no room in the ring."""
        for counts in self._watch.counts():
            self._decoder.tell(Tell(counts))
        for some in _groups(loaded.unsaid_ends(), OFFSETS_PER_MESSAGE):
            self._decoder.tell(Tell(Offsets(boot_ns(), some, closed=True)))

    def wait(self, interrupted: int) -> None:
        """Until a signal (a byte in the pipe `interrupted`), `--duration`, the end of the process that `--pid`
        names (with `--follow` of the last descendant too), or until the decoder has had enough.
        """
        tick = time.monotonic()
        deadline = tick + (self._settings.duration or float("inf"))
        with _process(None if self._settings.follow else self._settings.pid) as process:
            while (left := deadline - time.monotonic()) > 0 and not self._decoder.heard:
                watched = self._watch.filenos()
                ready = self._decoder.attend({interrupted, *process, *watched}, min(TICK_MS, left * 1000))
                if ready & process:
                    log.info("process %d has ended", self._settings.pid)
                if ready & {interrupted, *process} or self._all_have_ended():
                    return
                self._watch.meet(self._decoder)
                if time.monotonic() >= tick:
                    tick = time.monotonic() + TICK_MS / 1000
                    self._at_tick()

    def _at_tick(self) -> None:
        self._tell_clock()
        self._watch.renew()
        if self._watch.loaded and self._decoder.listens:
            self._tell_counts(self._watch.loaded)

    def _all_have_ended(self) -> bool:
        """Whether nobody is left of those that `--follow` means."""
        loaded = self._watch.loaded
        if not self._settings.follow or (loaded and loaded.follows_anybody()):
            return False
        log.info("process %d and all its descendants have ended", self._settings.pid)
        return True

    def finish(self, interrupted: int) -> None:
        """Let the decoder write everything, then detach. Raises what went wrong on either side.

        `interrupted` is as for `wait`: when writing takes long, another signal ends it.
        """
        try:
            if self._watch.loaded and self._decoder.failure is None:
                self._end_stream(self._watch.loaded)
            self._decoder.wait_until_done(interrupted)
        finally:
            self.abandon()
        if self._decoder.failure is not None:
            raise PellucidError(self._decoder.failure)

    def _end_stream(self, loaded: Loaded) -> None:
        asked = boot_ns()
        while loaded.writes_since_before(asked) and boot_ns() < asked + LAST_WRITES_NS:
            select.select([], [], [], 0.002)
        loaded.stop()
        end = boot_ns()
        self._decoder.tell(Settle())
        self._tell_clock()
        self._decoder.tell(Tell(loaded.drops()))
        self._tell_counts(loaded)
        for some in _groups(loaded.offsets(), OFFSETS_PER_MESSAGE):
            self._decoder.tell(Tell(Offsets(end, some)))
        self._decoder.tell(Tell(End(end)))
        self._decoder.tell(Finish())

    def abandon(self) -> None:
        """Detach, and end the decoder."""
        self._watch.close()
        self._end_log()
        self._decoder.close()
        self._places.close()


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
