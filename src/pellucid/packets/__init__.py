"""The way of packets: blocks that the kernel has laid out, and the secrets that decrypt them, into one pcapng file."""

from pellucid.packets.hold import Hold
from pellucid.packets.sink import PacketSink

__all__ = ["Hold", "PacketSink"]
