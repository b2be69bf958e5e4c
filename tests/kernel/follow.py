"""Reading what a capture writes while it goes on, also when that is hundreds of megabytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from tests.kernel.streams import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_json = msgspec.json.Decoder()


class Follow:
    """The streams of an output file, as far as they have come: their sizes and hashes, not their bytes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""
        self.size: dict[tuple[int, str], int] = defaultdict(int)
        """Bytes by connection and direction; each message continued exactly where the last one ended."""
        self.sha256: dict[tuple[int, str], Any] = defaultdict(hashlib.sha256)
        self.lost: list[dict[str, Any]] = []
        self.pid: dict[int, int] = {}
        """The process of each connection."""

    def read_on(self) -> Follow:
        """Take in what was written since the last call."""
        for message in self._messages():
            if message["type"] == "lost":
                self.lost.append(message)
            if message["type"] == "data":
                stream = message["conn"], message["direction"]
                assert message["offset"] == self.size[stream]
                self.size[stream] += message["size"]
                self.sha256[stream].update(shown(message, "data"))
            if "conn" in message and "pid" in message:
                self.pid[message["conn"]] = message["pid"]
        return self

    def _messages(self) -> Iterator[dict[str, Any]]:
        while more := self._file.read(4 << 20):
            *lines, self._rest = (self._rest + more).split(b"\n")
            yield from map(_json.decode, lines)

    def stream(self, pid: int, direction: str) -> tuple[int, str] | None:
        """The one connection of a process, in one direction."""
        found = [conn for conn, owner in self.pid.items() if owner == pid]
        assert len(found) <= 1, found
        return (found[0], direction) if found else None

    def close(self) -> None:
        """Stop reading."""
        self._file.close()
