"""Recordings: the envelope stream in a file, to be replayed without root on another machine.

A file is MAGIC, then envelopes (capture/envelope.py). MAGIC ends with the version of the format, which is
independent of the release. A file that was cut short is read up to its last whole envelope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

from pellucid.capture.envelope import HEADER, pack, pack_context
from pellucid.clock import boot_ns
from pellucid.errors import FormatError
from pellucid.model import End, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC = b"\x89PELLUCID\r\n\x1a\n\x01\x00\x00"
"""16 bytes; like PNG's it shows a file mangled as text. The version is a u16, bytes 13 and 14."""

VERSION = 1
READ_SIZE = 1 << 20
MAX_ENVELOPE = 16 << 20
"""A thousand times the longest record, a hundred times any object's types: beyond it the file is damaged."""

LAST_WORDS = 128
"""Room for saying that a recording ends before the capture does."""


class Writer(Protocol):
    """What a recording is written to: `pellucid.sink.Output`, for one."""

    def write(self, data: bytes | memoryview, /) -> None:
        """Append."""

    def flush(self) -> None:
        """Hand everything to the system."""


class Recorder:
    """Writes the stream as it comes, up to `limit` bytes in all."""

    def __init__(self, output: Writer, limit: int, on_full: Callable[[], None]) -> None:
        self._output = output
        self._room = limit - len(MAGIC) - LAST_WORDS
        self._on_full = on_full
        self._ended = False
        self.size = len(MAGIC)
        """Bytes of the file so far."""
        output.write(MAGIC)

    def write(self, batch: bytes | memoryview) -> None:
        """Append whole envelopes, as many as fit; at the limit the recording ends and `on_full` is called."""
        if self._ended or not len(batch):
            return
        if len(batch) <= self._room:  # without a look at each record: this is the hot path of --record
            self._put(batch)
            self._ended = HEADER.unpack_from(batch)[1] == Kind.END  # which is a batch of its own
            return
        fits, _ = _whole_envelopes(batch[: max(self._room, 0)])
        self._put(batch[:fits])
        self.break_off()
        self._on_full()

    def break_off(self) -> None:
        """End the recording before its stream does, and say so in it."""
        if not self._ended:
            self._put(pack_context(End(boot_ns(), complete=False)) + pack(Kind.END))
        self._ended = True

    def _put(self, data: bytes | memoryview) -> None:
        self._output.write(data)
        self._room -= len(data)
        self.size += len(data)

    def flush(self) -> None:
        """Hand everything to the system."""
        self._output.flush()


def read_recording(file: BinaryIO, on_cut: Callable[[], None]) -> Iterator[bytes]:
    """The batches of a recording: whole envelopes, about a mebibyte at a time.

    FormatError when this is no recording, or one of another version; `on_cut` when it has no end.
    """
    _check_magic(file.read(len(MAGIC)))
    rest, ended = b"", False
    while not ended and (more := file.read(READ_SIZE)):
        rest += more
        whole, ended = _whole_envelopes(rest)
        yield rest[:whole]
        rest = rest[whole:]
    if not ended:
        on_cut()


def _check_magic(found: bytes) -> None:
    if found[:13] != MAGIC[:13] or len(found) < len(MAGIC):
        raise FormatError("not a Pellucid recording")
    version = int.from_bytes(found[13:15], "little")
    if version != VERSION:
        raise FormatError(f"a recording of format {version}; this version of Pellucid reads {VERSION}")


def _whole_envelopes(data: bytes | memoryview) -> tuple[int, bool]:
    """How many bytes of `data` are whole envelopes, and whether the last of them is the end."""
    at = 0
    while at + HEADER.size <= len(data):
        size, kind, _ = HEADER.unpack_from(data, at)
        if size > MAX_ENVELOPE:
            raise FormatError(f"damaged: an envelope of {size} bytes")
        if at + HEADER.size + size > len(data):
            break
        at += HEADER.size + size
        if kind == Kind.END:
            return at, True
    return at, False
