"""What the sinks of pcapng share: a block is in the file whole or not at all, on a full disk too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.pcapng import whole_blocks
from pellucid.sink.base import Sink

if TYPE_CHECKING:
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.output import Output


class BlockSink(Sink):
    """Keeps the blocks that one batch brings, and writes them in one piece."""

    binary = True
    has_head = True

    def __init__(self, output: Output, options: SinkOptions) -> None:
        super().__init__(output, options)
        self._pending: list[bytes | memoryview] = []
        self._waiting = 0
        """Bytes of these."""

    def flush(self) -> None:
        """Write what has come; raises as `write` does."""
        self._write()
        super().flush()

    def finish(self) -> None:
        """Write it before a rotation, and at the end."""
        self._write()

    def _put(self, blocks: bytes | memoryview) -> None:
        """Append one block or several, which must stay as they are until the next flush."""
        self._pending.append(blocks)
        self._waiting += len(blocks)

    def _make_room(self, size: int) -> None:
        super()._make_room(self._waiting + size)

    def _write(self) -> None:
        pending, self._pending, self._waiting = self._pending, [], 0
        if pending:
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            self._output.write_whole(data, whole_blocks)
