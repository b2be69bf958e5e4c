"""Mounts that stand in for containers: overlays over one folder, as two containers of one image have them."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def overlay(lower: Path, folder: Path) -> Iterator[Path]:
    """An overlay over `lower`, mounted in the new `folder`; read-only, with nothing above it."""
    (folder / "nothing").mkdir(parents=True)
    merged = folder / "merged"
    merged.mkdir()
    layers = f"lowerdir={folder / 'nothing'}:{lower}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, merged], check=True)
    try:
        yield merged
    finally:
        subprocess.run(["umount", "--lazy", merged], check=True)
