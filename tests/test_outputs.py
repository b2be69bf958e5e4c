"""Opening outputs: private files, of the right owner, never through a link, never waiting for a reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pellucid.errors import PellucidError
from pellucid.outputs import open_output

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ids that files are given, as if root had opened them."""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _fd, uid, gid: given.append((uid, gid)))
    return given


def opened(place: Path) -> None:
    """Open it and let it go."""
    os.close(open_output(str(place)))


def test_a_file_is_private(tmp_path: Path, owners: list[tuple[int, int]]) -> None:
    """A file that others could read, and that held something, is then private and empty."""
    path = tmp_path / "events"
    path.write_text("of yesterday")
    path.chmod(0o666)
    opened(path)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"", 0o600)


@pytest.mark.parametrize(
    ("uid", "gid", "expected"),
    [("1000", "100", (1000, 100)), (None, None, (-1, -1)), ("root", "", (-1, -1))],
    ids=["behind sudo", "without sudo", "nonsense"],
)
def test_a_file_belongs_to_the_user_behind_sudo(
    uid: str | None,
    gid: str | None,
    expected: tuple[int, int],
    tmp_path: Path,
    owners: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SUDO_UID and SUDO_GID name its owner; where they do not, the owner stays."""
    for name, value in (("SUDO_UID", uid), ("SUDO_GID", gid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    opened(tmp_path / "events")
    assert owners == [expected]


def test_only_root_gives_files_away(
    tmp_path: Path, owners: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -u somebody pellucid replay` leaves SUDO_UID behind too, and could not."""
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    opened(tmp_path / "events")
    assert owners == []


@pytest.mark.parametrize("target", ["there", "missing"])
def test_no_link_is_followed(target: str, tmp_path: Path) -> None:
    """A symbolic link is refused, and what it points to is neither emptied nor made."""
    (tmp_path / "there").write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    with pytest.raises(PellucidError, match="it is a symbolic link, which is not followed"):
        opened(link)
    assert (tmp_path / "there").read_text() == "precious"
    assert not (tmp_path / "missing").exists()


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """A named pipe without a reader is refused at once; to wait for one would hold up the start for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(PellucidError, match="a named pipe that nobody reads; start its reader first"):
        opened(pipe)


def test_a_pipe_with_a_reader(tmp_path: Path) -> None:
    """A named pipe that somebody reads is an output like others: writes wait, and its mode is let alone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o640)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fd = open_output(str(pipe))
    try:
        assert os.get_blocking(fd)
        assert pipe.stat().st_mode & 0o777 == 0o640
    finally:
        os.close(fd)
        os.close(reader)


def test_stdout_is_duplicated() -> None:
    """`-` is stdout's own file under another number: closing it leaves stdout open."""
    fd = open_output("-")
    assert fd > 2
    assert os.path.sameopenfile(fd, 1)
    os.close(fd)
    os.fstat(1)


def test_no_program_inherits_an_output(tmp_path: Path) -> None:
    """Outputs are closed in programs that Pellucid starts."""
    fd = open_output(str(tmp_path / "events"))
    assert not os.get_inheritable(fd)
    os.close(fd)
