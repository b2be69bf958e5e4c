"""A JSON document that grows and is whole whenever somebody looks, also after kill -9 and on a full disk.

    {"log":{ ... "entries":[    settled entries    open entries   ],"comment":"..."}}   spaces
    head                                           ^ every write begins here

Each flush is one pwrite(2) of all that follows the settled entries. What it writes is at least as long as what it
replaces: spaces after a document are JSON (RFC 8259 section 2), rubbish is not. When it fails half-way, what was there
is put back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.sink.output import Output

SEPARATOR = b",\n"


class HarFile:
    """One file; `head` ends with the bracket that opens the array of entries."""

    def __init__(self, output: Output, head: bytes, tail: bytes) -> None:
        """Write an empty document; raises PellucidError as every method that writes."""
        self._output = output
        self._at = 0
        """Where the next write begins: what is before it never changes again."""
        self._rest = memoryview(b"")
        """What the file holds from there on."""
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
        settled = len(self._settled)
        separators = [self._separator, *[SEPARATOR] * len(open_entries)]
        pieces = [piece for pair in zip(separators, open_entries, strict=False) for piece in pair]
        data = b"".join((self._settled, *pieces, tail)).ljust(len(self._rest))
        try:
            self._output.overwrite(data, self._at)
        except PellucidError:
            self._put_back()
            raise
        self._at += settled
        self._rest = memoryview(data)[settled:]
        self._settled.clear()

    @property
    def _separator(self) -> bytes:
        return b"\n" if self._empty else SEPARATOR

    def _put_back(self) -> None:
        """It had room before, so it has now; whatever fails here, the first failure is the one to tell of."""
        with suppress(PellucidError):
            self._output.overwrite(self._rest, self._at, cut=True)
