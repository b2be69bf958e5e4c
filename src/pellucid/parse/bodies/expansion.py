"""How much compressed bytes may become: without a bound, 2 KiB of brotli are 1 GiB, and fifteen seconds of work."""

from __future__ import annotations

_RATIO = 64
"""Bytes that come of each, in the long run. Text becomes 5 to 20 times as much, the same message sent again and again
up to 300 times: that is what `_BEGIN` is for."""

_BEGIN = 16 << 20
"""Bytes that may come besides: some 0.2 s of work, once for each stream."""


class Expansion:
    """What came to one decoder in its whole life, and what it has made of that, in bytes."""

    __slots__ = ("came", "made")

    def __init__(self) -> None:
        self.came = 0
        self.made = 0

    @property
    def excessive(self) -> bool:
        """It is made to cost work: more than anybody compresses."""
        return self.made > _BEGIN + _RATIO * self.came
