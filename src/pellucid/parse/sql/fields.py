"""Fields of a message, taken off one after the other."""

from __future__ import annotations

from pellucid.parse.sql.frames import BrokenError


class Fields:
    """Takes fields off a payload. Raises `BrokenError` where it has too few bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that are there."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Take so many bytes."""
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise BrokenError("a message is shorter than its fields")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def string(self) -> bytes:
        """Take what ends with NUL."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise BrokenError("a text without an end")
        taken = self._data[self._at : end]
        self._at = end + 1
        return taken

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.take(self.left)
