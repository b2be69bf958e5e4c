"""Which processes run a watched server already: bpf/plain.h sees those that begin, and their forks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.attach.follow import enter
from pellucid.attach.loaded import KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    from pellucid.attach.images import Images, Key
    from pellucid.libbpf import BpfMap


class Servers:
    """The kernel's map `servers`. `images` must outlive it."""

    def __init__(self, servers: BpfMap, images: Images) -> None:
        self._map = servers
        self._images = images

    def begin(self, file: Key, target: int) -> None:
        """Enter the processes that run a file, once the probes are there that see others begin.

        A fork is seen where its parent has been entered: the passes go on until one finds nobody new. Who has
        become another program meanwhile has left the file, and is taken out again.
        """
        known: set[int] = set()
        while new := (running := self._running(file)) - known:
            known |= new
            for pid in new:
                enter(self._map, pid, KEY.pack(target))
        for pid in known - running:
            self._map.delete(KEY.pack(pid))

    def end(self, targets: Collection[int]) -> None:
        """Take out the processes of these targets."""
        left = {KEY.pack(target) for target in targets}
        for key, target in list(self._map.items()):
            if target in left:
                self._map.delete(key)

    def _running(self, file: Key) -> set[int]:
        return {area.pid for area in self._images.areas() if area.key == file}
