"""The tracer: the privileged process. It finds, loads, attaches and opens files; it reads no captured byte."""

from __future__ import annotations

import os
import pwd
import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.attach.arrivals import Arrivals
from pellucid.attach.attacher import Attacher, attach_first
from pellucid.attach.cgroups import cgroup, cgroup_of, root
from pellucid.attach.filters import Filter, comms
from pellucid.attach.images import Images
from pellucid.attach.key_attacher import KeyAttacher
from pellucid.attach.key_tracing import KeyTracing
from pellucid.attach.loader import Tracing, ring_bytes
from pellucid.attach.packet_tracing import PacketTracing
from pellucid.attach.roster import Roster
from pellucid.attach.shell_attacher import ShellAttacher
from pellucid.attach.shell_tracing import ShellTracing
from pellucid.channel import Finish, Outputs, Ring, Settle, Tell
from pellucid.clock import Clocks, boot_ns
from pellucid.ends import ends
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log, log_also_to
from pellucid.model import End, Interface, Logins, Offsets, Target, Users
from pellucid.outputs import empty_output, open_output
from pellucid.peer import Peer
from pellucid.places import Places
from pellucid.probes.keylog import OBJECT as KEYLOG_OBJECT
from pellucid.probes.plaintext import OBJECT
from pellucid.probes.shell import OBJECT as SHELL_OBJECT
from pellucid.settings import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pellucid.attach.attacher import Attaches
    from pellucid.attach.classic import Classic
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.channel import Channel
    from pellucid.probes.shell.probe import ShellProbe
    from pellucid.settings import Capture
    from pellucid.sink import SinkSpec

    Watching = Tracing | KeyTracing | ShellTracing

C = TypeVar("C")

OBJECT_ID = 1
TICK_MS = 1000
"""How often the clocks are compared, and what the kernel could not say is collected."""

LAST_WRITES_NS = 250_000_000
"""How long the end waits for writes in progress: what a peer has answered was written before."""

OFFSETS_PER_MESSAGE = 1000


class Tracer:
    """One capture: `begin`, then `wait` for its end, then `finish`."""

    def __init__(self, channel: Channel, decoder: int, settings: Capture) -> None:
        self._places = Places()
        self._decoder = Peer(channel, decoder, self._places)
        self._settings = settings
        self._clocks = Clocks()
        self._tracing: Watching | None = None
        self._packets: PacketTracing | None = None
        """The same, where it is one of packets."""
        self._images: Images | None = None
        self._end_log: Callable[[], None] = lambda: None
        self._arrivals: Arrivals[Any] | None = None

    def begin(self, specs: list[SinkSpec], library: Library, targets: list[FoundTarget]) -> None:
        """Open the outputs, load, attach, and let the decoder begin. On an error nothing stays attached."""
        logins = [library.logins()] if library.logins else []
        self._begin(specs, lambda: self._watch(library, targets), logins)

    def begin_keys(self, specs: list[SinkSpec], library: Library, targets: list[FoundTarget]) -> None:
        """The same for the secrets of handshakes alone."""
        self._begin(specs, lambda: self._watch_keys(library, targets))

    def begin_packets(
        self,
        specs: list[SinkSpec],
        library: Library,
        targets: list[FoundTarget],
        interfaces: Sequence[str],
        filters: Mapping[int, Sequence[Classic]],
    ) -> None:
        """The same for secrets and packets: of interfaces of these names, or all; that pass the filter of their link type."""
        told: list[Interface] = []

        def take(interface: Interface) -> bool:
            told.append(interface)
            return True

        def watch() -> tuple[Watching, list[Target]]:
            with self._filter() as who:
                self._packets = packets = PacketTracing(
                    ring_bytes(self._settings.mapsize), who, interfaces, filters
                )
            self._images = images = Images()
            watched = self._attach_keys(packets, library, images, targets)
            packets.attach_owners()
            packets.set_clock(self._clocks.wall_less_boot())
            packets.meet(take)
            return packets, watched

        self._begin(specs, watch, told)

    def begin_shells(self, specs: list[SinkSpec], probe: ShellProbe, shells: list[FoundTarget]) -> None:
        """The same for shells, with the names of this machine's users."""
        users = Users(
            {user.pw_uid: user.pw_name for user in reversed(pwd.getpwall())}
        )  # the first of a number wins
        self._begin(specs, lambda: self._watch_shells(probe, shells), [users])

    def _begin(
        self,
        specs: list[SinkSpec],
        watch: Callable[[], tuple[Watching, list[Target]]],
        also: Iterable[Users | Logins | Interface] = (),
    ) -> None:
        """Open the outputs, `watch`, and let the decoder begin with what that returns."""
        settings = self._settings
        with self._outputs(specs) as (fds, recording):
            tracing, known = watch()
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
        said: list[Users | Logins | Interface | Target] = [*also, *known]
        for context in said:
            self._decoder.tell(Tell(context))
        ring = Ring(OBJECT_ID, tracing.ring.max_entries, tracing.btf, packets=self._packets is not None)
        self._decoder.send(ring, [tracing.ring.fd])
        log.info("ready: watching %s", _count(known))

    def _watch(self, library: Library, targets: list[FoundTarget]) -> tuple[Watching, list[Target]]:
        """Load and attach; what is watched."""
        tracing = self._load(library)
        attacher = Attacher(tracing, library, entry_only=self._settings.sites == "entry")
        self._images = images = Images()
        return tracing, self._attach(attacher, library, images, targets)

    def _watch_keys(self, library: Library, targets: list[FoundTarget]) -> tuple[Watching, list[Target]]:
        """Load and attach; what is watched."""
        with self._filter() as who:
            ring = ring_bytes(self._settings.mapsize)
            tracing = KeyTracing(KEYLOG_OBJECT, ring, who)
        self._images = images = Images()
        if isinstance(self._settings, Tls) and self._settings.established:
            tracing.look_back(library, images, self._settings.established)
        return tracing, self._attach_keys(tracing, library, images, targets)

    def _attach_keys(
        self, tracing: KeyTracing, library: Library, images: Images, targets: list[FoundTarget]
    ) -> list[Target]:
        self._tracing = tracing
        tracing.attach_tracepoints()
        self._follow(tracing)
        return self._attach(KeyAttacher(tracing, library), library, images, targets)

    def _attach(
        self, attacher: Attaches[C], library: Library, images: Images, targets: list[FoundTarget]
    ) -> list[Target]:
        """Attach to these, and where no files are named to whatever else is there or turns up; what is watched."""
        first = attach_first(attacher, images, targets, demanded=bool(self._settings.files))
        known = [target for _, target in first]
        if not self._settings.files:  # else just these files are meant
            self._arrivals = self._expect(library, images, attacher, first)
            known += self._arrivals.mapped()
        return known

    def _watch_shells(self, probe: ShellProbe, shells: list[FoundTarget]) -> tuple[Watching, list[Target]]:
        """Load and attach; what is watched."""
        with self._filter() as who:
            ring = ring_bytes(self._settings.mapsize)
            self._tracing = tracing = ShellTracing(SHELL_OBJECT, ring, who, probe)
        tracing.attach_tracepoints()
        self._follow(tracing)
        self._images = images = Images()
        return tracing, self._attach(ShellAttacher(tracing, probe), probe.family, images, shells)

    def _expect(
        self, library: Library, images: Images, attacher: Attaches[C], first: list[tuple[FoundTarget, Target]]
    ) -> Arrivals[Any]:
        """Whatever else turns up."""
        pid = None if self._settings.follow else self._settings.pid
        roster = Roster(library, images, pid, [found.key for found, _ in first])
        arrivals = Arrivals(attacher, roster, self._decoder.introduce, self._decoder.withdraw)
        for found, target in first:
            arrivals.adopt(found, target)
        return arrivals

    def _load(self, library: Library) -> Tracing:
        with self._filter() as who:
            self._tracing = tracing = Tracing(OBJECT, ring_bytes(self._settings.mapsize), who)
        missing = tracing.attach_tracepoints()
        if missing:
            log.debug("this kernel lacks %s: fewer addresses will be known", " and ".join(missing))
        self._follow(tracing)
        if library.handshakes:
            self._attach_hello(tracing)
        return tracing

    @contextmanager
    def _filter(self) -> Iterator[Filter]:
        """Who is watched, for as long as an object is being loaded."""
        settings = self._settings
        with cgroup(settings.cgroup_path) as cgroup_fd:
            yield Filter(
                pid=settings.pid,
                follow=settings.follow,
                uid=settings.uid,
                comms=comms(settings.comm),
                cgroup_fd=cgroup_fd,
                ends=ends(settings.port, settings.host),
            )

    def _follow(self, tracing: Watching) -> None:
        pid = self._settings.pid
        if self._settings.follow and pid is not None:
            log.debug("following process %d, with %d descendants so far", pid, tracing.follow(pid))

    def _attach_hello(self, tracing: Tracing) -> None:
        """See handshakes of nobody else than necessary: of the cgroup that the filters name or imply."""
        settings = self._settings
        alone = settings.pid if not settings.follow else None  # a child may move to any cgroup
        path = settings.cgroup_path or (cgroup_of(alone) if alone else None) or root()
        reason = "cgroup v2 is not mounted" if path is None else "the kernel does not say who sends a packet"
        with cgroup(path) as fd:
            if fd is not None and tracing.sender_known:
                try:
                    tracing.attach_hello(fd)
                except BpfError as error:
                    reason = str(error)
                else:
                    return
        log.debug("%s: TLS that goes through memory will have no addresses", reason)

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

    def _tell_unsaid_ends(self, tracing: Watching) -> None:
        for some in _groups(tracing.unsaid_ends(), OFFSETS_PER_MESSAGE):
            self._decoder.tell(Tell(Offsets(boot_ns(), some, closed=True)))

    def wait(self, interrupted: int) -> None:
        """Until a signal (a byte in the pipe `interrupted`), `--duration`, the end of the process that `--pid`
        names (with `--follow` of the last descendant too), or until the decoder has had enough.
        """
        tick = time.monotonic()
        deadline = tick + (self._settings.duration or float("inf"))
        with _process(None if self._settings.follow else self._settings.pid) as process:
            while (left := deadline - time.monotonic()) > 0 and not self._decoder.heard:
                ready = self._decoder.attend(
                    {interrupted, *process, *self._expecting()}, min(TICK_MS, left * 1000)
                )
                if ready & process:
                    log.info("process %d has ended", self._settings.pid)
                if ready & {interrupted, *process} or self._all_have_ended():
                    return
                if ready and self._tracing:
                    self._leave_overwritten(self._tracing)
                if self._arrivals:
                    self._arrivals.meet()
                if self._packets:
                    self._packets.meet_news(self._decoder.introduce)
                if time.monotonic() >= tick:
                    tick = time.monotonic() + TICK_MS / 1000
                    self._at_tick()

    def _expecting(self) -> set[int]:
        """What is readable when a file turns up, or one that is watched is written into."""
        overwrites = {self._tracing.overwrites.fd} if self._tracing else set()
        packets = {self._packets.fileno()} if self._packets else set()
        return overwrites | packets | (self._arrivals.filenos() if self._arrivals else set())

    def _leave_overwritten(self, tracing: Watching) -> None:
        left = tracing.detach_overwritten()
        for path in left.values():
            log.warning(
                "%s was written into: it is not watched %s, for probes on what was there before "
                "would harm programs that load it",
                path,
                "until another program begins to use it"
                if self._arrivals
                else "for the rest of this capture",
            )
        if self._arrivals:
            self._arrivals.overwritten(left)

    def _at_tick(self) -> None:
        self._tell_clock()
        if self._tracing and self._decoder.listens:
            self._tell_unsaid_ends(self._tracing)
        if self._arrivals:
            self._arrivals.renew()
        if isinstance(self._tracing, KeyTracing) and self._tracing.older:
            self._tracing.older.renew()
        if self._packets:
            self._packets.set_clock(self._clocks.wall_less_boot())
            if self._decoder.listens:
                self._decoder.tell(Tell(self._packets.interface_counts()))

    def _all_have_ended(self) -> bool:
        """Whether nobody is left of those that `--follow` means."""
        if not self._settings.follow or (self._tracing and self._tracing.follows_anybody()):
            return False
        log.info("process %d and all its descendants have ended", self._settings.pid)
        return True

    def finish(self, interrupted: int) -> None:
        """Let the decoder write everything, then detach. Raises what went wrong on either side.

        `interrupted` is as for `wait`: when writing takes long, another signal ends it.
        """
        try:
            if self._tracing and self._decoder.failure is None:
                self._end_stream(self._tracing)
            self._decoder.wait_until_done(interrupted)
        finally:
            self.abandon()
        if self._decoder.failure is not None:
            raise PellucidError(self._decoder.failure)

    def _end_stream(self, tracing: Watching) -> None:
        asked = boot_ns()
        while tracing.writes_since_before(asked) and boot_ns() < asked + LAST_WRITES_NS:
            select.select([], [], [], 0.002)
        tracing.stop()
        end = boot_ns()
        self._decoder.tell(Settle())
        self._tell_clock()
        self._decoder.tell(Tell(tracing.drops()))
        if self._packets:
            self._decoder.tell(Tell(self._packets.interface_counts()))
        self._tell_unsaid_ends(tracing)
        for some in _groups(tracing.offsets(), OFFSETS_PER_MESSAGE):
            self._decoder.tell(Tell(Offsets(end, some)))
        self._decoder.tell(Tell(End(end)))
        self._decoder.tell(Finish())

    def abandon(self) -> None:
        """Detach, and end the decoder."""
        if self._arrivals:
            self._arrivals.close()
        if self._images:
            self._images.close()
        if self._tracing:
            self._tracing.close()
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
