"""What every sink is: a format's name, and messages in, bytes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pellucid.model import Message
    from pellucid.sink.output import Output


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


class Sink(ABC):
    """Writes messages in one format; never opens anything, never changes a message."""

    format: ClassVar[str]
    """The name in `-o FORMAT:PLACE`."""
    needs_file: ClassVar[bool] = False
    """Whether only a regular file will do: the format changes what it has written."""

    def __init__(self, output: Output, options: SinkOptions) -> None:
        self._output = output
        self._options = options

    def begin(self) -> None:  # noqa: B027 - most formats begin with nothing
        """Append what a file of this format begins with, if anything: for each file that a rotation makes."""

    @abstractmethod
    def write(self, message: Message) -> None:
        """Append one message to the output; raise OutputClosed or PellucidError if that fails."""

    def finish(self) -> None:  # noqa: B027 - and end with nothing
        """Append what a file of this format ends with, if anything: before a rotation, and at the end."""

    def flush(self) -> None:
        """Hand everything written so far to the kernel; raises as `write` does."""
        self._output.flush()

    def close(self) -> None:
        """Finish, flush and close the output; raises as `write` does."""
        try:
            self.finish()
        finally:
            self._output.close()
