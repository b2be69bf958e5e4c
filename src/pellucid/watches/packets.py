"""Packets of network interfaces, and the secrets that decrypt them, in one ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from pellucid.attach.keys.attacher import KeyAttacher
from pellucid.attach.packets.interfaces import check_names
from pellucid.attach.packets.network import networks_of, own_network, processes
from pellucid.attach.packets.tracing import PacketTracing
from pellucid.clock import ClockSteps, wall_less_boot
from pellucid.watches.base import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pellucid.attach.filters import Filter
    from pellucid.attach.images import Images
    from pellucid.attach.packets.classic import Translated
    from pellucid.attach.packets.network import Network
    from pellucid.model import Interface, Interfaces, Target
    from pellucid.peer import Peer
    from pellucid.watches.base import About


class Packets(Watch[PacketTracing]):
    """packets.bpf.o on every target, and on interfaces of these names, or all; `filters` are by link type,
    made of these `words`. Interfaces are ours, or with a process or a cgroup those of its network namespaces.
    """

    own: ClassVar[tuple[str, str]] = "packets", "packets"
    packets: ClassVar[bool] = True

    def __init__(
        self, about: About, interfaces: Sequence[str], filters: Mapping[int, Translated], words: str
    ) -> None:
        """PellucidError where none of the processes' networks, or ours, has an interface of a name."""
        super().__init__(about)
        self._words = words
        self._names = interfaces
        self._filters = filters
        self._by_network = about.settings.pid is not None or about.settings.cgroup_path is not None
        self._first: list[Interface] = []
        self._steps: ClockSteps | None = None
        networks = self._networks()
        check_names(networks, interfaces)  # before anything is opened for writing
        for network in networks:
            network.close()

    def load(self, ring: int, who: Filter) -> PacketTracing:
        """As `Watch` says."""
        meant = self._meant if self._by_network else None
        tracing = PacketTracing(ring, who, self._names, self._filters, meant)
        tracing.attach_processes()
        return tracing

    def _meant(self) -> list[int]:
        """The processes that --pid or --cgroup_path mean, as far as they are there now."""
        settings = self._settings
        return processes(settings.pid, settings.cgroup_path, descendants=settings.follow)

    def _networks(self) -> list[Network]:
        """Those that are watched at first."""
        return networks_of(self._meant()) if self._by_network else [own_network()]

    def attacher(self, loaded: PacketTracing, images: Images) -> KeyAttacher:  # noqa: ARG002
        """As `Watch` says."""
        return KeyAttacher(loaded, self._library)

    def begin(self, decoder: Peer) -> tuple[PacketTracing, list[Target]]:
        """As `Watch` says; interfaces come last, so that no packet goes by before its secrets are seen."""
        loaded, known = super().begin(decoder)
        loaded.attach_owners()
        self._steps = ClockSteps()
        loaded.set_clock(wall_less_boot())
        for network in self._networks():
            loaded.networks.add(network, self._take)
        loaded.networks.meet(self._take)  # those of sockets that no process of its network has any more
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
        steps = {self._steps.fileno()} if self._steps else set()
        return super().filenos() | steps | (self.loaded.networks.filenos() if self.loaded else set())

    def meet(self, decoder: Peer) -> None:
        """As `Watch` says, and watch interfaces that have come; packets go by the wall clock, which may have been set."""
        super().meet(decoder)
        if not self.loaded:
            return
        if self._steps and self._steps.stepped():
            self.loaded.set_clock(wall_less_boot())
        self.loaded.networks.meet(lambda interface: decoder.introduce(self._filtered(interface)))

    def renew(self) -> None:
        """As `Watch` says; the wall clock may go faster or slower than the other one."""
        super().renew()
        if self.loaded:
            self.loaded.set_clock(wall_less_boot())
            self.loaded.networks.leave_empty()

    def counts(self) -> Iterable[Interfaces]:
        """Packets that were wanted and lost, by interface."""
        return [self.loaded.interface_counts()] if self.loaded else []

    def close(self) -> None:
        """As `Watch` says."""
        super().close()
        if self._steps:
            self._steps.close()
