"""Places in a text that are to be masked, and masking them."""

from __future__ import annotations

import heapq
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
"""Always the same: it does not tell how long the credential is."""


class Span(NamedTuple):
    """Characters from `start` to before `end`, and what stands in their place."""

    start: int
    end: int
    mask: str = MASK


def merged(*finders: Iterable[Span]) -> Iterator[Span]:
    """Bring what several have found, each in the order of the text, into that order: the longer of two that begin together first."""
    return heapq.merge(*finders, key=lambda span: (span.start, -span.end))


def masked(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with every span replaced; of those that overlap one mask remains, that of the first.

    The spans are in the order of the text, and none of them is kept: there may be hundreds of thousands.
    """
    shown, at = StringIO(), 0
    for span in spans:
        if span.start >= at:
            shown.write(text[at : span.start])
            shown.write(span.mask)
        at = max(at, span.end)
    if not at:
        return text
    shown.write(text[at:])
    return shown.getvalue()
