"""What capture hands to decode."""

from __future__ import annotations

import enum
from typing import NamedTuple

WAIT_NS = 5_000_000_000
"""How long the kernel holds packets of a flow back: a handshake across the world, with a lost packet sent again, takes less."""


class Kind(enum.IntEnum):
    """What an envelope carries; the values are part of the recording format."""

    OBJECT = 1
    """A BPF object's raw `.BTF` section: the types of its records, always before the first of them."""
    RECORD = 2
    """One record of the kernel, exactly as long as its `head.size`."""
    CONTEXT = 3
    """What only the tracer knows, as JSON: one of `Context`."""
    END = 4
    """The capture is over; empty. A recording without it was cut short."""
    PACKETS = 5
    """A u64, then Enhanced Packet Blocks as they go to the file. The number is 0, or the flow of the first of them,
    which waits no longer: what is HELD of that flow goes before."""
    HELD = 6
    """A u64, the flow, then one Enhanced Packet Block that has to wait for the keys of its flow."""


class Envelope(NamedTuple):
    """One item of the stream that a live capture and a recording share."""

    kind: Kind
    object: int
    """Which BPF object's types describe the payload; 0 where none does."""
    payload: bytes | memoryview
