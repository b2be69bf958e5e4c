"""Processes in other network namespaces are told apart before anything is captured."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.packets.network import check_network
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pathlib import Path

NOBODYS = 1 << 30
"""No process has this number (/proc/sys/kernel/pid_max is 1 << 22 at the most)."""


def test_a_process_of_our_network() -> None:
    """Nothing is said of one that is where packets are captured, or that has ended."""
    check_network(os.getpid(), None)
    check_network(NOBODYS, None)


def test_a_process_of_another_network(tmp_path: Path) -> None:
    """One that is elsewhere is refused in one line that says what to do."""
    with pytest.raises(
        PellucidError, match=rf"process {os.getpid()} is in another .*nsenter -t {os.getpid()} -n"
    ):
        check_network(os.getpid(), None, own=str(tmp_path))


def test_a_group(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a cgroup and those below it every process counts; where all are elsewhere, it is refused."""
    below = tmp_path / "group/below"
    below.mkdir(parents=True)
    (tmp_path / "group/cgroup.procs").write_text("")
    (below / "cgroup.procs").write_text(f"{NOBODYS}\n{os.getpid()}\n")
    with caplog.at_level(logging.WARNING):
        check_network(None, tmp_path / "group")
    assert not caplog.records
    with pytest.raises(PellucidError, match="another network namespace"):
        check_network(None, tmp_path / "group", own=str(tmp_path))
