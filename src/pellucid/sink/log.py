"""A connection that the log alone goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.model import Lost
from pellucid.sink.text import TextSink

if TYPE_CHECKING:
    from pellucid.model import Message


class LogSink(TextSink):
    """Shows of all messages only how many lines its own reader was too slow for."""

    format = "log"

    def write(self, message: Message) -> None:
        """Append it if it is about this output."""
        if isinstance(message, Lost) and message.messages is not UNSET:
            super().write(message)
