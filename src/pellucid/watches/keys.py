"""The secrets of handshakes, and for a while those of connections that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pellucid.attach.keys.attacher import KeyAttacher
from pellucid.attach.keys.tracing import KeyTracing
from pellucid.probes.keylog import OBJECT
from pellucid.watches.base import Watch

if TYPE_CHECKING:
    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.watches.base import About


class Keys(Watch[KeyTracing]):
    """keylog.bpf.o on every target; with `established`, for so many seconds, on connections older than the capture too."""

    own: ClassVar[tuple[str, str]] = "secrets", "keylog"

    def __init__(self, about: About, established: float) -> None:
        super().__init__(about)
        self._established = established

    def load(self, ring: int, who: Filter) -> KeyTracing:
        """As `Watch` says."""
        tracing = KeyTracing(OBJECT, ring, who)
        tracing.attach_processes()
        return tracing

    def attacher(self, loaded: KeyTracing, images: Images) -> KeyAttacher:
        """As `Watch` says."""
        if self._established:
            loaded.look_back(self._library, images, self._established)
        return KeyAttacher(loaded, self._library)

    def renew(self) -> None:
        """As `Watch` says; probes that were for older connections go when their time is over."""
        super().renew()
        if self.loaded and self.loaded.older:
            self.loaded.older.renew()
