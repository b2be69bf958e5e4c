"""Finding a container's cgroup by its id."""

from __future__ import annotations

import pytest

from pellucid.attach import cgroups
from pellucid.attach.containers import find_container
from pellucid.errors import PellucidError, UsageError

ID, OTHER = "0123456789abcdef" * 4, "0123456789abcdef" * 3 + "f" * 16


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A mount of cgroup v2 with these groups."""
    monkeypatch.setattr(cgroups, "root", lambda: tmp_path)

    def make(*names):
        for name in names:
            (tmp_path / name).mkdir(parents=True)
        return tmp_path

    return make


def test_the_outermost_group_of_a_container(tree):
    """A group inside a container that repeats the id is not another one; a container inside it is."""
    root = tree(f"a/docker-{ID}.scope/init/docker-{ID}.scope", f"a/docker-{ID}.scope/docker/{OTHER}")

    assert find_container(ID) == root / f"a/docker-{ID}.scope"
    assert find_container(OTHER) == root / f"a/docker-{ID}.scope/docker/{OTHER}"


def test_a_beginning_that_is_one_containers_only(tree):
    """Any beginning will do as long as no other container has it."""
    root = tree(f"docker/{ID}", f"docker/{OTHER}", "lxc/web", "lxc/web2")

    assert find_container(ID[:49]) == root / "docker" / ID
    assert find_container("web") == root / "lxc/web"
    for several in (ID[:48], "we", "0"):
        with pytest.raises(UsageError, match=f"--container {several} means several: .*/"):
            find_container(several)


def test_one_id_at_two_places(tree):
    """Groups that do not lie in each other and have one id are two, and named."""
    root = tree(f"a/docker-{ID}.scope", f"b/docker-{ID}.scope")

    with pytest.raises(UsageError, match=f"{root}/a/docker-{ID}.scope, {root}/b/"):
        find_container(ID)


def test_none(tree):
    """Who is not there is said with those who are."""
    tree(f"docker/{ID}", "lxc/web")

    with pytest.raises(PellucidError, match=r"no container abc under .*: there are 0123456789ab, web"):
        find_container("abc")


def test_without_cgroup_v2(monkeypatch):
    """A machine without the hierarchy says what is needed."""
    monkeypatch.setattr(cgroups, "root", lambda: None)

    with pytest.raises(PellucidError, match="needs cgroup v2"):
        find_container(ID)
