"""Calls of a library that encrypt and decrypt, or read and write: what most commands watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.attacher import Attacher
from pellucid.attach.cgroups import cgroup, cgroup_of, root
from pellucid.attach.loader import Tracing
from pellucid.attach.plain import check_kernel
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError
from pellucid.log import log
from pellucid.probes.plaintext import OBJECT
from pellucid.watches.base import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.model import Logins


class Plaintext(Watch[Tracing]):
    """plaintext.bpf.o on every target."""

    _plain = False

    def load(self, ring: int, who: Filter) -> Tracing:
        """As `Watch` says; a kernel that lacks a tracepoint tells fewer addresses."""
        self._plain = self._sees_sockets()
        tracing = Tracing(OBJECT, ring, who, plain=self._plain, own_process=self._library.own_process)
        missing = tracing.attach_tracepoints()
        if missing:
            log.debug("this kernel lacks %s: fewer addresses will be known", " and ".join(missing))
        return tracing

    def attacher(self, loaded: Tracing, images: Images) -> Attacher:
        """As `Watch` says."""
        if self._library.handshakes:
            self._attach_hello(loaded)
        if self._plain:
            loaded.expect_servers(images)
        entry_only = self._settings.sites == "entry"
        return Attacher(loaded, self._library, entry_only=entry_only, plain=self._plain)

    def _sees_sockets(self) -> bool:
        """Whether plaintext is looked for at sockets, where the library has such servers."""
        if self._library.plain is None or self._settings.sites == "entry":
            return False
        try:
            check_kernel()
        except PellucidError as error:
            log.debug("each call of the server is probed: %s", error)
            return False
        return True

    def said(self) -> Iterable[Logins]:
        """Who has logged in where this cannot be seen any more."""
        return [self._library.logins()] if self._library.logins else []

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
