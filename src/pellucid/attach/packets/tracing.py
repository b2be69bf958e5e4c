"""Load packets.bpf.o and attach it: to libraries for their secrets, to interfaces for their packets."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from pellucid.attach.keys.tracing import HOOK, KeyTracing
from pellucid.attach.loaded import KEY
from pellucid.attach.packets.networks import Networks
from pellucid.attach.packets.owners import OWNERS
from pellucid.attach.values import MapValue
from pellucid.clock import boot_ns
from pellucid.errors import PellucidError
from pellucid.libbpf import BpfError, possible_cpus
from pellucid.log import log
from pellucid.model import LEFT_OUT, WAIT_NS, Interfaces
from pellucid.probes.packets import OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pellucid.attach.filters import Filter
    from pellucid.attach.packets.classic import Translated

_OFFSET = struct.Struct("<q")


class PacketTracing(KeyTracing):
    """The loaded object, its links, and the networks that are watched."""

    def __init__(
        self,
        ring_size: int,
        who: Filter,
        names: Collection[str],
        filters: Mapping[int, Translated],
        meant: Callable[[], Iterable[int]] | None = None,
    ) -> None:
        """`names` are of interfaces, of the network namespaces of the processes that `meant` lists, else of ours."""
        constants = {
            "hold_time": WAIT_NS,
            "only_owned": int(who.of_some),
            "by_network": int(meant is not None),
        }
        if who.cgroup_fd is not None:
            constants["filter_cgroup_id"] = os.fstat(who.cgroup_fd).st_ino
        self._by_network = meant is not None
        super().__init__(OBJECT, ring_size, who, [HOOK], constants)
        self.networks = Networks(self._object, self._types, names, filters, meant, owned=who.of_some)

    def attach_owners(self) -> None:
        """Learn whose sockets are, of those that are there as well. Where the kernel lacks something, fewer are known, as the
        log says; PellucidError where packets are meant by that.
        """
        if self._by_network:
            self._attach_tracepoint("program_begun", "sched_process_exec")
        for what, attach in OWNERS:
            try:
                self._links += attach(self._object)
            except BpfError as error:
                if self._who.of_some:
                    raise PellucidError(
                        f"packets cannot be chosen by their processes, for this kernel does not tell {what}: {error}: "
                        "leave out --pid, --uid, --comm, --cgroup_path and --container"
                    ) from error
                log.warning(
                    "fewer packets will say whose they are, for this kernel does not tell %s: %s", what, error
                )

    def set_clock(self, wall_less_boot: int) -> None:
        """Have packets stamped with wall-clock time: boot time and so many nanoseconds."""
        self._object.map(".data.clock").update(KEY.pack(0), _OFFSET.pack(wall_less_boot))

    def interface_counts(self) -> Interfaces:
        """How many packets of each interface there were, and how many of them were lost; of one that is gone once more."""
        left_out = self._left_out() if self._who.of_some else None
        return Interfaces(boot_ns(), self.networks.counts(), left_out)

    def _left_out(self) -> dict[str, int]:
        layout = MapValue(self._types, "left_out_counts")
        raw = self._object.map("left_out_counts").lookup(KEY.pack(0), possible_cpus()) or b""
        by_cpu = (layout.read(raw, "packets", at) for at in range(0, len(raw), layout.size))
        return dict(zip(LEFT_OUT, map(sum, zip(*by_cpu, strict=True)), strict=True))

    def detach(self) -> None:
        """Remove every probe, and leave every interface."""
        self.networks.detach()
        super().detach()

    def close(self) -> None:
        """Leave everything as it was found."""
        self.networks.close()
        super().close()
