"""What every sink is: a format's name, and messages in, bytes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from pellucid.model import Message
    from pellucid.sink.output import Output

View = Literal["all", "headers", "body", "quiet"]


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How a person wants to see messages; formats for programs ignore it."""

    color: bool = False
    hex: bool = False
    """Every payload as a hex dump."""
    truncate: int = 0
    """Bytes of each payload to show; 0 shows all of it."""
    verbose: bool = False
    """Also show connections being opened and closed."""
    view: View = "all"
    """Of each message `all`, no payloads (`headers`), payloads alone (`body`), or one line (`quiet`)."""
    terminal: bool = False
    """A person looks at it: JSON is laid out, forms become tables."""
    width: int = 80
    """Columns of the terminal; only tables go by it."""


class Sink(ABC):
    """Writes messages in one format; never opens anything, never changes a message."""

    format: ClassVar[str]
    """The name in `-o FORMAT:PLACE`."""

    def __init__(self, output: Output, options: SinkOptions) -> None:
        self._output = output
        self._options = options

    @abstractmethod
    def write(self, message: Message) -> None:
        """Append one message to the output; raise OutputClosed or PellucidError if that fails."""

    def flush(self) -> None:
        """Hand everything written so far to the kernel; raises as `write` does."""
        self._output.flush()

    def close(self) -> None:
        """Flush and close the output; raises as `write` does."""
        self._output.close()
