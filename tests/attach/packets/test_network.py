"""Whose network namespaces are meant, and being in one for a moment."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.packets.network import (
    Network,
    inhabitant,
    network_of,
    networks_of,
    own_network,
    processes,
)
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODYS = 1 << 30
"""No process has this number (/proc/sys/kernel/pid_max is 1 << 22 at the most)."""
HERE = Path("/proc/thread-self/ns/net")


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A process in a network namespace of its own."""
    words = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_ours() -> None:
    """A process of our network, one that has ended, and none at all mean ours, which is not entered."""
    own = Network(HERE.stat().st_ino, 0, "", None)
    for pids in ([os.getpid()], [NOBODYS], []):
        assert networks_of(pids) == [own]
    with own.entered():
        assert HERE.stat().st_ino == own.number


@pytest.mark.kernel
def test_elsewhere(elsewhere: int) -> None:
    """Another process's network is entered by one thread alone, which comes back also after an error."""
    ours, theirs = networks_of([os.getpid(), elsewhere, elsewhere])
    assert ours == own_network()
    assert theirs.number == Path(f"/proc/{elsewhere}/ns/net").stat().st_ino != ours.number
    assert theirs.description.startswith(f"network namespace {theirs.number} of process {elsewhere} (")
    main = Path(f"/proc/self/task/{threading.get_native_id()}/ns/net")
    with ThreadPoolExecutor(1) as pool:
        stranger = pool.submit(threading.get_native_id).result()  # a thread that was there before
        with theirs.entered():
            assert main.stat().st_ino == theirs.number
            assert Path(f"/proc/self/task/{stranger}/ns/net").stat().st_ino == ours.number
    assert main.stat().st_ino == ours.number
    with pytest.raises(ZeroDivisionError), theirs.entered():
        raise ZeroDivisionError
    assert HERE.stat().st_ino == ours.number
    theirs.close()


@pytest.mark.kernel
def test_what_is_no_network() -> None:
    """What cannot be entered is refused in one line that names it, and nothing has changed."""
    fd = os.open("/", os.O_RDONLY)
    with (
        pytest.raises(PellucidError, match="cannot enter the root: Invalid argument"),
        Network(1, 1, "the root", fd).entered(),
    ):
        pass
    os.close(fd)


@pytest.mark.kernel
def test_somebody_who_is_there(elsewhere: int) -> None:
    """Whoever is in a network is found by its number, and nobody where nobody is."""
    network = network_of(elsewhere)
    assert network is not None
    assert inhabitant(network.number) == elsewhere
    assert inhabitant(1) is None
    network.close()


def test_the_processes_of_a_group(tmp_path: Path) -> None:
    """Of a cgroup and those below it every process counts, and of a process its descendants where they are meant."""
    below = tmp_path / "group/below"
    below.mkdir(parents=True)
    (tmp_path / "group/cgroup.procs").write_text("12\n7\n")
    (below / "cgroup.procs").write_text("9\n")
    assert processes(None, tmp_path / "group", descendants=False) == [7, 9, 12]
    assert processes(5, tmp_path / "group", descendants=False) == [5]
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert child.pid in processes(os.getpid(), None, descendants=True)
        child.communicate()
    assert processes(None, None, descendants=False) == []
