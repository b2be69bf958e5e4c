"""Places in a text that are to be masked, and masking them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
"""Always the same: it does not tell how long the credential is."""


class Span(NamedTuple):
    """Characters from `start` to before `end`, and what stands in their place."""

    start: int
    end: int
    mask: str = MASK


def masked(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with every span replaced; of those that overlap one mask remains, that of the first."""
    pieces, at = [], 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= at:
            pieces += [text[at : span.start], span.mask]
        at = max(at, span.end)
    pieces.append(text[at:])
    return "".join(pieces) if len(pieces) > 1 else text
