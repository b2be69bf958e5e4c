"""What is typed into shells, and what they run."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

from pellucid.attach.shells.attacher import ShellAttacher
from pellucid.attach.shells.tracing import ShellTracing
from pellucid.model import Users
from pellucid.probes.shell import OBJECT
from pellucid.watches.base import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.probes.shell.probe import ShellProbe
    from pellucid.watches.base import About


class Shells(Watch[ShellTracing]):
    """shell.bpf.o on every shell."""

    def __init__(self, about: About, probe: ShellProbe) -> None:
        super().__init__(about)
        self._probe = probe

    def load(self, ring: int, who: Filter) -> ShellTracing:
        """As `Watch` says."""
        tracing = ShellTracing(OBJECT, ring, who, self._probe)
        tracing.attach_processes(forks=self._probe.forks_tell)
        return tracing

    def attacher(self, loaded: ShellTracing, images: Images) -> ShellAttacher:  # noqa: ARG002
        """As `Watch` says."""
        return ShellAttacher(loaded, self._probe)

    def said(self) -> Iterable[Users]:
        """The names of this machine's users; of those with one number the first has it."""
        return [Users({user.pw_uid: user.pw_name for user in reversed(pwd.getpwall())})]
