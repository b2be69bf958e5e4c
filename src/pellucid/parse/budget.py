"""How much memory the parse stage may hold, and when somebody has to look.

Counting every byte that is kept and given back, at every place that does so, is slow and soon wrong. So
everything that comes is charged as if all of it stayed; only when that reaches the limit the connections are
asked what they really hold (`evict.make_room`), and charging goes on from there. What is held is never more
than what was charged.
"""

from __future__ import annotations

CHUNK_COST = 256
"""Bytes charged for a chunk above its data: objects that stand for it. Tiny ones cost by their number."""

GROWTH = 9
"""Eighths: a bytearray that grows by small pieces takes an eighth more than its bytes (bytearrayobject.c)."""

CONNECTION_COST = 768
"""Bytes of an open connection of which nothing is held: what `join` and this stage know of it (614 measured)."""

PARSER_COST = 1536
"""Bytes of a parser and its buffers while they are empty (1.2 KiB measured)."""

HEAD_COST = 512
"""Bytes of the objects that stand for one request or response, its body among them (460 measured)."""

FIELD_COST = 200
"""Bytes of a header field above its text: a tuple, two strings, a place in a list (64-bit CPython 3.11)."""

CHARACTER_COST = 4
"""Bytes of a character of a head at most: one beyond U+FFFF makes all others of its string as wide (PEP 393)."""


def text_cost(data: bytes) -> int:
    """Bytes that text made of `data` takes at most."""
    return len(data) if data.isascii() else CHARACTER_COST * len(data)


class Budget:
    """Of `limit` bytes so many are `left` to be charged: one for all connections of a stage, which looks below 0."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def charge(self, size: int) -> None:
        """Count what may be held from now on."""
        self.left -= size

    def settle(self, held: int) -> None:
        """Go on from what is really held."""
        self.left = self.limit - held
