"""Which container a process is in, by the name of its cgroup.

Container engines put each container into a cgroup of its own and name it after the container's id, 64
hexadecimal digits: `docker-ID.scope`, `docker/ID`, `libpod-ID.scope`, `cri-containerd-ID.scope`,
`crio-ID.scope`, `kubepods/.../ID`, `....slice:cri-containerd:ID`. LXC uses the container's name:
`lxc.payload.NAME` since 4.0, `lxc/NAME` before.
"""

from __future__ import annotations

import re

_ID = re.compile(r"(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$")
_LXC = re.compile(r"(?:^|/)lxc(?:\.payload[./]|/)([^/]+)")
_MONITOR = "-conmon-"  # podman's and CRI-O's keeper of a container, which runs outside it


def container_id(cgroup_path: str) -> str | None:
    """The id, or LXC's name, of the innermost container that a cgroup path lies in; None outside of any.

    `cgroup_path` is what the kernel calls it in /proc/PID/cgroup (cgroups(7)), such as
    `/system.slice/docker-3f0c....scope`.
    """
    parts = cgroup_path.split("/")
    for depth in range(len(parts), 0, -1):
        found = _ID.search(parts[depth - 1])
        if found and _MONITOR not in parts[depth - 1]:
            return found[1]
    named = _LXC.findall(cgroup_path)
    return named[-1] if named else None


def container_of(cgroups: str) -> str | None:
    """The same for the text of a /proc/PID/cgroup, which has one line `number:controllers:path` a hierarchy."""
    paths = (line.split(":", 2)[-1] for line in cgroups.splitlines())
    return next(filter(None, map(container_id, paths)), None)
