"""Drain a ring of packets into batches that a file takes as they are: libbpf/packets.h."""

from __future__ import annotations

from typing import Any

from pellucid.libbpf._native import lib
from pellucid.libbpf.drain import Drain


class PacketDrain(Drain):
    """A `Drain` whose batches hold PACKETS and HELD envelopes beside RECORD ones.

    `packet_tag` is the BTF id of the object's `struct packet`.
    """

    def __init__(self, map_fd: int, ring_size: int, object_id: int, capacity: int, packet_tag: int) -> None:
        self._packet_tag = packet_tag
        super().__init__(map_fd, ring_size, object_id, capacity)

    def _start(self, map_fd: int, ring_size: int, object_id: int, capacity: int) -> Any:
        return lib.drain_packets(map_fd, ring_size, capacity, object_id, self._packet_tag)
