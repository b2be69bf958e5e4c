"""What the tracer asks of a watch, and what all of them do alike: filter, follow, attach, expect what turns up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from pellucid.attach.arrivals import Arrivals
from pellucid.attach.attacher import attach_first
from pellucid.attach.cgroups import cgroup
from pellucid.attach.filters import Filter, comms
from pellucid.attach.follow import children_of
from pellucid.attach.images import Images
from pellucid.attach.loaded import Loaded, ring_bytes
from pellucid.attach.roster import Roster
from pellucid.ends import ends
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pellucid.attach.attacher import Attaches
    from pellucid.attach.library import Library
    from pellucid.attach.targets import FoundTarget
    from pellucid.model import Interface, Interfaces, Logins, Target, Users
    from pellucid.peer import Peer
    from pellucid.settings import Capture


class About(NamedTuple):
    """What a watch is of."""

    settings: Capture
    library: Library
    targets: list[FoundTarget]
    """Those that are there already."""


L = TypeVar("L", bound=Loaded)


class Watch(ABC, Generic[L]):
    """`begin`, then `meet` and `renew` while it runs, then `close`; `loaded` is there once it has begun."""

    own: ClassVar[tuple[str, str]] = "", ""
    """What goes to a file of its own unless the user says otherwise, and in which format: the log names the file."""
    packets: ClassVar[bool] = False
    """Whether its ring has packets in it (libbpf/packets.h)."""

    def __init__(self, about: About) -> None:
        self._settings, self._library, self._targets = about
        self._images: Images | None = None
        self._arrivals: Arrivals[Any] | None = None
        self.loaded: L | None = None

    @abstractmethod
    def load(self, ring: int, who: Filter) -> L:
        """Load the object, with a ring of so many bytes, and attach what belongs to no target."""

    @abstractmethod
    def attacher(self, loaded: L, images: Images) -> Attaches[Any]:
        """What attaches to targets."""

    def said(self) -> Iterable[Users | Logins | Interface]:
        """What the decoder has to know beside its targets."""
        return ()

    def begin(self, decoder: Peer) -> tuple[L, list[Target]]:
        """Load and attach; what is loaded and watched. On an error, `close` detaches."""
        with self._filter() as who:
            self.loaded = loaded = self.load(ring_bytes(self._settings.mapsize), who)
        pid = self._settings.pid
        if self._settings.follow and pid is not None:
            log.debug("following process %d, with %d descendants so far", pid, loaded.follow(pid))
        self._images = images = Images()
        attacher = self.attacher(loaded, images)
        first = attach_first(attacher, images, self._targets, demanded=bool(self._settings.files))
        known = [target for _, target in first]
        if not self._settings.files:  # else just these files are meant
            self._arrivals = self._expect(attacher, images, first, decoder)
            known += self._arrivals.mapped()
        return loaded, known

    def say_left_out(self) -> None:
        """Tell the user, once all has begun, of processes that may well be meant and are not watched."""
        pid = self._settings.pid
        number = 0 if pid is None or self._settings.follow else len(children_of(pid))
        if number:
            plural = "children, which are" if number > 1 else "child, which is"
            log.info("process %d has %d %s not watched: add --follow", pid, number, plural)

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

    def _expect(
        self, attacher: Attaches[Any], images: Images, first: list[tuple[FoundTarget, Target]], decoder: Peer
    ) -> Arrivals[Any]:
        """Whatever else turns up."""
        pid = None if self._settings.follow else self._settings.pid
        roster = Roster(self._library, images, pid, [found.key for found, _ in first])
        arrivals = Arrivals(attacher, roster, decoder.introduce, decoder.withdraw)
        for found, target in first:
            arrivals.adopt(found, target)
        return arrivals

    def filenos(self) -> set[int]:
        """What is readable when there is something to `meet`."""
        overwrites = {self.loaded.overwrites.fd} if self.loaded else set()
        return overwrites | (self._arrivals.filenos() if self._arrivals else set())

    def meet(self, decoder: Peer) -> None:  # noqa: ARG002 - those that tell of more than targets need it
        """Attach to what has turned up, leave what was written into."""
        if self.loaded:
            self._leave_overwritten(self.loaded)
        if self._arrivals:
            self._arrivals.meet()

    def _leave_overwritten(self, loaded: L) -> None:
        left = loaded.detach_overwritten()
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

    def renew(self) -> None:
        """To be called every second or so: look again where the machine has changed."""
        if self._arrivals:
            self._arrivals.renew()

    def counts(self) -> Iterable[Interfaces]:
        """What the decoder is told of now and then, and at the end."""
        return ()

    def close(self) -> None:
        """Detach from everything."""
        if self._arrivals:
            self._arrivals.close()
        if self._images:
            self._images.close()
        if self.loaded:
            self.loaded.close()
