"""What processes have mapped, for those who may not load BPF: their own processes, by /proc/PID/maps.

The kernel's own view (`images.Images`) sees everybody and tells files apart below overlays. This one is for
a list, and for trying out; never for a capture.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.images import Image, Key
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Maps:
    """The same questions as `Images` answers, for what this user may see."""

    def mapped(self, pid: int | None = None) -> list[Image]:
        """The files that this user's processes, or one of them, have mapped for execution, each once."""
        found: dict[Key, tuple[Path, str]] = {}
        pids: dict[Key, set[int]] = defaultdict(set)
        for each in _pids() if pid is None else [pid]:
            for display in _mapped(each):
                path = Path(f"/proc/{each}/root", display.lstrip("/"))
                try:
                    key = self.key(path)
                except PellucidError:  # deleted since
                    continue
                found.setdefault(key, (path, display))
                pids[key].add(each)
        return [Image(key, *found[key], tuple(sorted(pids[key]))) for key in found]

    def key(self, path: Path) -> Key:
        """Which file a path leads to. PellucidError where there is none."""
        try:
            status = path.stat()
        except OSError as error:
            raise PellucidError(f"cannot look at {path}: {error.strerror}") from error
        return Key(status.st_dev, status.st_ino)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _mapped(pid: int) -> set[str]:
    """The paths of a process's executable mappings (proc(5)); none where they may not be seen."""
    try:
        text = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")
    except OSError:
        return set()
    rows = (line.split(maxsplit=5) for line in text.splitlines())
    return {row[5] for row in rows if len(row) == 6 and "x" in row[1] and row[5].startswith("/")}
