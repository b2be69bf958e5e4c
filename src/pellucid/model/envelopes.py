"""What capture hands to decode."""

from __future__ import annotations

import enum
from typing import NamedTuple


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


class Envelope(NamedTuple):
    """One item of the stream that a live capture and a recording share."""

    kind: Kind
    object: int
    """Which BPF object's types describe the payload; 0 where none does."""
    payload: bytes | memoryview
