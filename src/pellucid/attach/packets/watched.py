"""The interfaces of one network namespace whose packets are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.packets.hooks import Way
from pellucid.attach.packets.interfaces import InterfaceNews, all_interfaces, is_there, wanted
from pellucid.attach.packets.network import inhabitant, number_of
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, close_links, wait_for_programs
from pellucid.log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pellucid.attach.packets.hooks import PacketHooks
    from pellucid.attach.packets.interfaces import NetworkInterface
    from pellucid.attach.packets.network import Network
    from pellucid.attach.packets.table import InterfaceTable
    from pellucid.libbpf import Link
    from pellucid.model import Interface


class WatchedNetwork:
    """Those of its interfaces that have these names, or all that are up, until `close`, which lets go of the network too."""

    def __init__(
        self,
        network: Network,
        names: Collection[str],
        table: InterfaceTable,
        hooks: PacketHooks,
        *,
        owned: bool,
    ) -> None:
        """With `owned` packets are meant by whose they are. PellucidError where it cannot be entered."""
        self.network = network
        self.empty = False
        """Whether nobody was there when somebody looked last."""
        self._pid: int | None = network.pid
        """Somebody who is there, or was."""
        self._names = names
        self._table = table
        self._hooks = hooks
        self._owned = owned
        self._watched: dict[int, tuple[Interface | None, list[Link]]] = {}
        """By the kernel's number; None where nothing can be seen of it."""
        self._untold = False
        """Whether one waits to be told."""
        with network.entered():
            self._news = InterfaceNews()

    def fileno(self) -> int:
        """Readable when interfaces have come, gone or changed: `meet_news`."""
        return self._news.fileno()

    def meet(self, tell: Callable[[Interface], bool]) -> None:
        """Watch interfaces that are wanted and not watched yet, each once it was told; leave those that are gone.

        One that could not be told waits for the next call. PellucidError where one that has a name cannot be watched.
        """
        with self.network.entered():
            found = all_interfaces()
            self._leave(self._watched.keys() - {each.number for each in found})
            self._untold = False
            for each in wanted(found, self._names):
                if each.number not in self._watched:
                    self._watch(each, tell)

    def meet_news(self, tell: Callable[[Interface], bool]) -> None:
        """The same, if anything has changed."""
        changes = self._news.take()
        if changes.missed:
            log.info("too many network interfaces change at once: all are attached to anew")
        self._leave([*self._watched] if changes.missed else changes.gone & self._watched.keys())
        if changes.any or self._untold:
            self.meet(tell)

    def _watch(self, each: NetworkInterface, tell: Callable[[Interface], bool]) -> None:
        if each.link_type is None or not self._hooks.knows(each.link_type):
            return
        interface = None
        try:
            interface = self._table.enter(self.network, each, each.link_type, tell)
            if interface is None:
                self._untold = True
                return
            way, links = self._hooks.attach(self.network, each)
        except BpfError as error:
            self._watched[each.number] = interface, []
            if not is_there(each):  # so its end is among the news
                log.debug("%s was gone before it could be watched", each.name)
                return
            if self._names:
                raise PellucidError(f"packets of {each.name} cannot be captured: {error}") from error
            log.warning("packets of %s are not captured: %s", each.name, error)
            return
        self._watched[each.number] = interface, links
        if self._owned and way is Way.PACKET_SOCKET:
            raise PellucidError(
                "this kernel lets packets be seen by packet sockets only, which do not tell whose they are: "
                "leave out --pid, --uid, --comm, --cgroup_path and --container"
            )
        log.debug("watching packets of %s, by %s", each.name, way.value)

    def _leave(self, numbers: Iterable[int]) -> None:
        leaving = [self._watched.pop(number) for number in numbers]
        if not leaving:
            return
        close_links([link for _, links in leaving for link in links])
        wait_for_programs()  # so that the last counts are final
        for interface, _ in leaving:
            if interface is not None:
                self._table.leave(interface)

    def inhabited(self) -> bool:
        """Whether any process is there; ours counts as being so."""
        number = self.network.number
        if self._pid is None or (self._pid and number_of(self._pid) != number):
            self._pid = inhabitant(number)
        return self._pid is not None

    def detach(self) -> None:
        """Leave every interface."""
        self._leave([*self._watched])

    def close(self) -> None:
        """Leave it as it was found."""
        self.detach()
        self._hooks.leave(self.network)
        self._news.close()
        self.network.close()
