"""Targets that turn up while the capture runs."""

from __future__ import annotations

import resource
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pellucid.attach.attacher import Attaches, Plan
    from pellucid.attach.roster import Roster
    from pellucid.attach.targets import FoundTarget
    from pellucid.model import Target

C = TypeVar("C")

_OVERWRITTEN = PellucidError("it was written into")


class Arrivals(Generic[C]):
    """Attaches to the targets of a roster as they turn up; until `close`.

    `introduce` tells the decoder of a target, which must know it when its first record comes; it returns
    false when that is not possible now. `withdraw` says of one that it came to nothing. A target that vanishes
    meanwhile is no error.
    """

    def __init__(
        self,
        attacher: Attaches[C],
        roster: Roster,
        introduce: Callable[[Target], bool],
        withdraw: Callable[[Target], None],
    ) -> None:
        self._attacher = attacher
        self._roster = roster
        self._introduce = introduce
        self._withdraw = withdraw
        self._waiting: deque[FoundTarget] = deque()
        self._next: Plan[C] | None = None
        """Of the first that waits: made once, also when the decoder does not listen for long."""
        self._attached: dict[int, FoundTarget] = {}
        """By number."""
        self._refused = False
        _allow_many_files()
        self.close = roster.close
        self.filenos = roster.filenos

    def adopt(self, found: FoundTarget, target: Target) -> None:
        """Take over one that the roster was told to pass over."""
        self._attached[target.id] = found

    def mapped(self) -> Iterator[Target]:
        """Attach to what is mapped by now; what `introduce` would say of it is the caller's."""
        for found in self._roster.mapped():
            try:
                target = self._attacher.attach(self._attacher.plan(found))
            except PellucidError as error:
                self._give_up(found, error)
            else:
                self._keep(found, target)
                yield target

    def meet(self) -> None:
        """Attach to what has turned up since the last call."""
        self._waiting.extend(self._roster.news())
        self._attach()

    def renew(self) -> None:
        """To be called every second or so: look again where the machine has changed, leave what is not used."""
        leaving = set(self._roster.retired(crowded=self._attacher.crowded))
        if leaving:
            numbers = [number for number, found in self._attached.items() if found.key in leaving]
            self._attacher.detach(numbers)
            for number in numbers:
                del self._attached[number]
        self._waiting.extend(self._roster.renew())
        self._attach()

    def overwritten(self, numbers: Iterable[int]) -> None:
        """These have lost their probes, for their files are not what they were: whoever maps one, makes it new."""
        for number in numbers:
            found = self._attached.pop(number)
            self._roster.forget(found, _OVERWRITTEN, again=True)

    def _attach(self) -> None:
        while self._waiting:
            found = self._waiting[0]
            try:
                plan = self._next = self._next or self._attacher.plan(found)
                if not self._introduce(plan.target):
                    return
                target = self._put(plan)
            except PellucidError as error:
                self._give_up(found, error)
            else:
                log.info("watching %s (%s) too", found.display, found.library)
                self._keep(found, target)
                if (
                    target != plan.target
                ):  # it was told before it was attached to: its first record may come at once
                    self._introduce(target)
            self._next = None
            self._waiting.popleft()

    def _put(self, plan: Plan[C]) -> Target:
        try:
            return self._attacher.attach(plan)
        except PellucidError:
            self._withdraw(plan.target)
            raise

    def _keep(self, found: FoundTarget, target: Target) -> None:
        self._attached[target.id] = found
        self._roster.done(found)

    def _give_up(self, found: FoundTarget, why: PellucidError) -> None:
        """A file may vanish at any time; that the kernel takes no more probes is said once."""
        if isinstance(why, BpfError) and not self._refused:
            self._refused = True
            log.warning("%s is not watched: %s; further files may not be either", found.display, why)
        self._roster.forget(found, why, again=isinstance(why, BpfError))


def _allow_many_files() -> None:
    """Each file that is watched takes a descriptor for each program; the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
