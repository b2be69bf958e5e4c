"""The cgroup of a container, found by the container's id in the tree of cgroup v2."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pellucid.attach import cgroups
from pellucid.container import container_id
from pellucid.errors import PellucidError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def find_container(wanted: str) -> Path:
    """The cgroup directory of the container whose id begins so.

    UsageError where the beginning is that of several, PellucidError where it is that of none.
    """
    if not wanted:
        raise UsageError("--container needs an id: an empty one is every container's beginning")
    root = cgroups.root()
    if root is None:
        raise PellucidError("--container needs cgroup v2: see `mount -t cgroup2`")
    found = list(containers(root))
    exact = [path for name, path in found if name == wanted]  # a name of LXC may begin another
    matching = exact or [path for name, path in found if name.startswith(wanted)]
    if not matching:
        raise PellucidError(f"no container {wanted} under {root}: there are {_listed(found)}")
    if len(matching) > 1:
        several = ", ".join(sorted(map(str, matching)))
        raise UsageError(
            f"--container {wanted} means several: give more of it, or --cgroup_path of one of {several}"
        )
    return matching[0]


def containers(
    root: Path, folder: Path | None = None, inside: str | None = None
) -> Iterator[tuple[str, Path]]:
    """(id, directory) of every container below `folder`, itself a part of the container `inside`.

    `root` is where the hierarchy is mounted. A container's groups within itself may repeat its id: only the
    outermost counts.
    """
    with suppress(FileNotFoundError):  # it has just ended
        for path in sorted(path for path in (folder or root).iterdir() if path.is_dir()):
            found = container_id(f"/{path.relative_to(root)}")
            if found is not None and found != inside:
                yield found, path
            yield from containers(root, path, found)


def _listed(found: list[tuple[str, Path]]) -> str:
    return ", ".join(sorted(name[:12] for name, _ in found)) or "none"
