"""Raw data: what was before a piece is remembered, so that a credential is found that is split over several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.redact.spans import Span, masked, merged
from pellucid.redact.text import command_spans, text_spans

if TYPE_CHECKING:
    from pellucid.model import RawData, Text
    from pellucid.redact.rules import Rules

REMEMBERED = 4096
"""Characters before a piece: a private key of 4,096 bits has 3,272."""

MAX_STREAMS = 512
"""Directions of connections that are remembered; beyond them the one that was silent for longest is forgotten."""


class Streams:
    """The last characters of each direction, as they were sent."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ends: dict[tuple[int, str], tuple[int, str]] = {}
        """By connection and direction: the offset that follows, and what was before it."""

    def masked(self, message: RawData) -> Text:
        """Return the data with its credentials masked, those too that began in pieces already shown."""
        shown = _view(message.data)
        before = self._remember(message, shown)
        whole = before + shown
        spans = merged(text_spans(whole, self._rules), command_spans(whole))
        here = (
            Span(max(span.start - len(before), 0), span.end - len(before), span.mask)
            for span in spans
            if span.end > len(before)
        )
        hidden = masked(shown, here)
        return hidden if isinstance(message.data, str) else hidden.encode("iso-8859-1")

    def _remember(self, message: RawData, shown: str) -> str:
        """Return what was directly before, and remember this piece behind it."""
        key = message.conn, message.direction
        offset, before = self._ends.pop(key, (0, ""))
        if offset != message.offset:  # bytes between them are missing, or were something else
            before = ""
        self._ends[key] = message.offset + message.size, (before + shown)[-REMEMBERED:]
        if len(self._ends) > MAX_STREAMS:
            del self._ends[next(iter(self._ends))]
        return before

    def forget(self, connection: int) -> None:
        """Drop what is known of a connection that has closed."""
        self._ends.pop((connection, "read"), None)
        self._ends.pop((connection, "write"), None)


def _view(data: Text) -> str:
    """Bytes as characters of the same numbers: all that is looked for is ASCII."""
    return data if isinstance(data, str) else data.decode("iso-8859-1")
