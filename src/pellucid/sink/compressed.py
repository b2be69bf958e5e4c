"""Output to a file that is compressed on the way (RFC 8878)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zstandard

from pellucid.sink.output import Output

if TYPE_CHECKING:
    from pellucid.sink.output import Rotation

LEVEL = 3
"""zstd's own default: far faster than messages are made."""


class Compressed(Output):
    """One zstd frame for each file. What was flushed can be read back (`zstdcat`), even if the end never comes."""

    _foresees_size = False

    def __init__(self, fd: int, name: str, rotation: Rotation | None = None) -> None:
        self._open = False
        super().__init__(fd, name, rotation)

    def _begin(self) -> None:
        super()._begin()
        self._frame = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        self._open = True
        self._pending = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes, as `Output.write` does."""
        self._pending = True
        self._append(self._frame.compress(data))

    def write_whole(self, data: bytes | bytearray | memoryview, _whole: object) -> None:
        """Append bytes: what can be read of a compressed file ends with the last flush in any case."""
        self.write(data)

    def flush(self) -> None:
        """End a block and write it."""
        if self._pending:
            self._pending = False
            self._append(self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
        self._drain()

    def close(self) -> None:
        """End the frame and close the file; closing again does nothing."""
        if self._open:
            self._open = self._pending = False
            self._append(self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
        super().close()
