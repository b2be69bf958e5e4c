"""Container ids from the names of cgroups, as the engines really give them."""

from __future__ import annotations

import pytest

from pellucid.container import container_id, container_of

ID = "3f0c7e1b9a4d52688c1e0f7a6b5d4c3b2a190807f6e5d4c3b2a1908f7e6d5c4b"
OTHER = ID[::-1]
POD = "kubepods-burstable-pod7d1a2b3c_4e5f_6071_8293_a4b5c6d7e8f9.slice"

INSIDE = {
    "Docker, systemd driver": f"/system.slice/docker-{ID}.scope",
    "Docker, cgroupfs driver": f"/docker/{ID}",
    "Docker with systemd in it": f"/system.slice/docker-{ID}.scope/init.scope",
    "Docker seen from a cgroup namespace": f"/../docker-{ID}.scope",
    "Kubernetes, containerd": f"/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{ID}.scope",
    "Kubernetes, cgroupfs driver": f"/kubepods/besteffort/pod7d1a2b3c-4e5f-6071-8293-a4b5c6d7e8f9/{ID}",
    "Kubernetes, containerd under its own service": f"/system.slice/containerd.service/{POD}:cri-containerd:{ID}",
    "Kubernetes, CRI-O": f"/kubepods.slice/kubepods-besteffort.slice/{POD}/crio-{ID}.scope",
    "Kubernetes in Docker": f"/docker/{OTHER}/kubelet/kubepods/burstable/pod12/{ID}",
    "Podman as root": f"/machine.slice/libpod-{ID}.scope/container",
    "Podman without root": f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope",
    "nerdctl": f"/system.slice/nerdctl-{ID}.scope",
    "ECS": f"/ecs/0aa58e2cd3f14c6e8a2ee6bb1e0dd2f4/{ID}",
    "Docker in LXC": f"/lxc.payload.web/system.slice/docker-{ID}.scope",
}
NAMED = {
    "/lxc.payload.web-1/system.slice/nginx.service": "web-1",
    "/lxc.payload/web-1": "web-1",
    "/lxc/101/ns/system.slice/nginx.service": "101",
    "/lxc/outer/lxc/inner": "inner",
}
OUTSIDE = (
    "/",
    "/init.scope",
    "/system.slice/docker.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/lxc.monitor.web-1",
    f"/machine.slice/libpod-conmon-{ID}.scope",
    f"/kubepods.slice/crio-conmon-{ID}.scope",
    f"/system.slice/docker-{ID[:63]}.scope",
    f"/system.slice/backup-{ID}.service",
)


@pytest.mark.parametrize("path", INSIDE.values(), ids=INSIDE.keys())
def test_id(path):
    """The 64 digits that an engine puts into its cgroup's name are the container's id, the innermost one's."""
    assert container_id(path) == ID


@pytest.mark.parametrize(("path", "name"), NAMED.items())
def test_lxc(path, name):
    """LXC's cgroups carry the container's name."""
    assert container_id(path) == name


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_container(path):
    """Services, sessions, the engines' own helpers and other long names are no container."""
    assert container_id(path) is None


def test_several_hierarchies():
    """Of the hierarchies of cgroup v1 and v2 side by side, one that knows the container is enough."""
    assert (
        container_of(f"12:cpuset:/\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service\n") == ID
    )
    assert container_of("0::/user.slice\n") is None
