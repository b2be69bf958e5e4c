"""What has begun and not ended, within a number of bytes.

Above it the oldest lose their texts, which are nearly all of it: of those that are nested these are the outermost. Where even
what is left is too much the oldest are given up.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

SHORT = 128
"""Bytes that are left of a text that is cut."""

EACH = 1536
"""Bytes of one without its texts and directory, and of what `Held` has for it: 1,480 measured for a command that was run."""


class Kept(Protocol):
    """One of them."""

    def size(self) -> int:
        """Bytes of its texts and directory."""

    def cut(self) -> None:
        """Keep `SHORT` of each text, and take no more."""


T = TypeVar("T", bound=Kept)


class Held(Generic[T]):
    """All of them, in the order in which they began."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sizes: OrderedDict[T, int] = OrderedDict()
        self._whole: OrderedDict[T, None] = OrderedDict()
        self._bytes = 0

    def keep(self, one: T) -> None:
        """It has begun, or has more text: cut the oldest until there is room."""
        if one not in self._sizes:
            self._whole[one] = None
        self._measure(one)
        while self._bytes > self._most and len(self._whole) > 1:  # the newest stays whole
            oldest, _ = self._whole.popitem(last=False)
            oldest.cut()
            self._measure(oldest)

    def _measure(self, one: T) -> None:
        size = EACH + one.size()
        self._bytes += size - self._sizes.get(one, 0)
        self._sizes[one] = size

    def too_many(self) -> T | None:
        """The one that has to be given up, None where there is room."""
        return next(iter(self._sizes)) if self._bytes > self._most else None

    def forget(self, one: T) -> None:
        """It has ended."""
        self._bytes -= self._sizes.pop(one, 0)
        self._whole.pop(one, None)
