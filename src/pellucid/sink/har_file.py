"""A JSON document that grows and is whole whenever somebody looks, also after kill -9 and on a full disk.

    {"log":{ ... "entries":[    settled entries    open entries   ],"comment":"..."}}   spaces
    head                                           ^ every write begins here

Spaces after a document are JSON (RFC 8259 section 2), so a flush has two steps: the file is made long enough with
spaces, where that fails on a full disk nothing has changed; then one pwrite(2) replaces all that follows the settled
entries, and never changes the file's length. What it writes ends with spaces over whatever it replaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.sink.output import Output

SEPARATOR = b",\n"
_ROOM = 64 * 1024
"""Spaces that are written at a time: most flushes find room."""


class HarFile:
    """One file; `head` ends with the bracket that opens the array of entries."""

    def __init__(self, output: Output, head: bytes, tail: bytes) -> None:
        """Write an empty document; raises PellucidError as every method that writes."""
        self._output = output
        self._at = 0
        """Where the next write begins: what is before it never changes again."""
        self._end = 0
        """Where the document ends, and spaces begin."""
        self._size = 0
        """The file's length."""
        self._settled = bytearray(head)
        """Not written yet, and to come before all that is open."""
        self._empty = True
        self.flush((), tail)

    @property
    def waiting(self) -> int:
        """Bytes that the next flush will settle."""
        return len(self._settled)

    def add(self, entry: bytes | bytearray) -> None:
        """Append an entry that is complete."""
        self._settled += self._separator
        self._settled += entry
        self._empty = False

    def flush(self, open_entries: Sequence[bytes | bytearray], tail: bytes) -> None:
        """Write what was added, then entries that will change, and the tail."""
        separators = [self._separator, *[SEPARATOR] * len(open_entries)]
        pieces = [piece for pair in zip(separators, open_entries, strict=False) for piece in pair]
        data = b"".join((self._settled, *pieces, tail))
        end = self._at + len(data)
        self._make_room(end)
        self._output.overwrite(data.ljust(self._end - self._at), self._at)
        self._at += len(self._settled)
        self._end = end
        self._settled.clear()

    def trim(self) -> None:
        """Take the spaces away."""
        self._output.truncate(self._end)
        self._size = self._end

    @property
    def _separator(self) -> bytes:
        return b"\n" if self._empty else SEPARATOR

    def _make_room(self, end: int) -> None:
        if end > self._size:
            size = end + _ROOM
            self._output.overwrite(b" " * (size - self._size), self._size)
            self._size = size
