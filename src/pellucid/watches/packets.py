"""Packets of network interfaces, and the secrets that decrypt them, in one ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from pellucid.attach.keys.attacher import KeyAttacher
from pellucid.attach.packets.network import check_network
from pellucid.attach.packets.tracing import PacketTracing
from pellucid.clock import wall_less_boot
from pellucid.watches.base import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.attach.packets.classic import Classic
    from pellucid.model import Interface, Interfaces, Target
    from pellucid.peer import Peer
    from pellucid.watches.base import About


class Packets(Watch[PacketTracing]):
    """packets.bpf.o on every target, and on interfaces of these names, or all; `filters` are by link type,
    made of these `words`.
    """

    own: ClassVar[tuple[str, str]] = "packets", "packets"
    packets: ClassVar[bool] = True

    def __init__(
        self, about: About, interfaces: Sequence[str], filters: Mapping[int, Sequence[Classic]], words: str
    ) -> None:
        super().__init__(about)
        self._words = words
        self._names = interfaces
        self._filters = filters
        self._first: list[Interface] = []

    def load(self, ring: int, who: Filter) -> PacketTracing:
        """As `Watch` says."""
        check_network(self._settings.pid, self._settings.cgroup_path)
        tracing = PacketTracing(ring, who, self._names, self._filters)
        tracing.attach_processes()
        return tracing

    def attacher(self, loaded: PacketTracing, images: Images) -> KeyAttacher:  # noqa: ARG002
        """As `Watch` says."""
        return KeyAttacher(loaded, self._library)

    def begin(self, decoder: Peer) -> tuple[PacketTracing, list[Target]]:
        """As `Watch` says; interfaces come last, so that no packet goes by before its secrets are seen."""
        loaded, known = super().begin(decoder)
        loaded.attach_owners()
        loaded.set_clock(wall_less_boot())
        loaded.meet(self._take)
        return loaded, known

    def _take(self, interface: Interface) -> bool:
        self._first.append(self._filtered(interface))
        return True

    def _filtered(self, interface: Interface) -> Interface:
        """Say with the interface what is left out of its packets."""
        return replace(interface, filter=self._words)

    def said(self) -> Iterable[Interface]:
        """The interfaces that were there."""
        return self._first

    def filenos(self) -> set[int]:
        """As `Watch` says."""
        return super().filenos() | ({self.loaded.fileno()} if self.loaded else set())

    def meet(self, decoder: Peer) -> None:
        """As `Watch` says, and watch interfaces that have come."""
        super().meet(decoder)
        if self.loaded:
            self.loaded.meet_news(lambda interface: decoder.introduce(self._filtered(interface)))

    def renew(self) -> None:
        """As `Watch` says; packets go by the wall clock, which may have stepped."""
        super().renew()
        if self.loaded:
            self.loaded.set_clock(wall_less_boot())

    def counts(self) -> Iterable[Interfaces]:
        """Packets that were wanted and lost, by interface."""
        return [self.loaded.interface_counts()] if self.loaded else []
