"""Compressed output, read back by the zstd tool."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from pellucid.sink.compressed import Compressed
from pellucid.sink.output import BUFFER_LIMIT, Rotation

if TYPE_CHECKING:
    from pathlib import Path

LINES = [b'{"number": %d}\n' % number for number in range(1000)]


def opened(path: Path) -> Compressed:
    """A compressed output to this file."""
    return Compressed(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), str(path))


def unpacked(path: Path) -> tuple[int, bytes]:
    """The tool's exit status, and what it could read."""
    answer = subprocess.run(["zstd", "-dc", path], capture_output=True)
    return answer.returncode, answer.stdout


def test_a_closed_file_is_whole(tmp_path: Path) -> None:
    """The frame ends, and holds what was written, also what never was flushed."""
    output = opened(tmp_path / "x")
    for line in LINES:
        output.write(line)
    output.close()
    output.close()
    assert unpacked(tmp_path / "x") == (0, b"".join(LINES))
    assert (tmp_path / "x").stat().st_size < len(b"".join(LINES)) / 5


def test_a_file_without_an_end(tmp_path: Path) -> None:
    """Of a file whose writer was killed everything up to the last flush can be read; the tool says that it is cut."""
    output = opened(tmp_path / "x")
    for line in LINES[:500]:
        output.write(line)
    output.flush()
    flushed = (tmp_path / "x").stat().st_size
    output.flush()
    assert (tmp_path / "x").stat().st_size == flushed
    for line in LINES[500:]:
        output.write(line)
    status, content = unpacked(tmp_path / "x")
    output.close()
    assert (status, content) == (1, b"".join(LINES[:500]))


def test_rotation_counts_compressed_bytes(tmp_path: Path) -> None:
    """Messages that are long before they are compressed, and short after it, fill a file together."""
    made = []

    def following() -> int:
        made.append(tmp_path / str(len(made)))
        return os.open(made[-1], os.O_WRONLY | os.O_CREAT, 0o600)

    limit = 10_000
    output = Compressed(following(), "x", Rotation(limit, 0, following))
    for _ in range(30):
        message = os.urandom(500).hex().encode() + bytes(9 * limit)
        fd = output.following(len(message), output.flush)
        if fd is not None:
            output.turn(fd)
        output.write(message)
        output.flush()
    output.close()
    *full, _ = [path.stat().st_size for path in made]
    assert full
    assert all(limit < size < limit + 1000 for size in full)


def test_more_than_the_buffer(tmp_path: Path) -> None:
    """Data that does not compress, and is more than is kept back, arrives in order."""
    pieces = [os.urandom(BUFFER_LIMIT * times) for times in (1, 3, 1)]
    output = opened(tmp_path / "x")
    for piece in pieces:
        output.write(piece)
        output.flush()
    output.close()
    assert unpacked(tmp_path / "x") == (0, b"".join(pieces))
