"""Opening outputs: private files, of the right owner, never through a link, never waiting for a reader."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from pellucid.errors import PellucidError
from pellucid.outputs import empty_output, open_output, write_only


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


def test_a_file_is_private(tmp_path: Path) -> None:
    """A new file is private, and so becomes one that others could read."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o666)
    opened(new)
    opened(old)
    assert [path.stat().st_mode & 0o777 for path in (new, old)] == [0o600, 0o600]


def test_a_file_is_emptied_when_it_is_time(tmp_path: Path) -> None:
    """What the last run left stays until the new one has begun."""
    path = tmp_path / "events"
    path.write_text("of yesterday")
    fd = open_output(str(path))
    assert path.read_text() == "of yesterday"
    empty_output(fd)
    os.close(fd)
    assert path.read_bytes() == b""


def test_only_files_of_ours_are_emptied(tmp_path: Path) -> None:
    """Pipes cannot be; and what `>> FILE` appends to is not ours to empty."""
    reader, pipe = os.pipe()
    empty_output(pipe)
    path, stdout = tmp_path / "appended", os.dup(1)
    path.write_text("of yesterday")
    try:
        with path.open("ab") as file:
            os.dup2(file.fileno(), 1)
        fd = open_output("-")
        empty_output(fd)
    finally:
        os.dup2(stdout, 1)
    for opened_fd in (reader, pipe, stdout, fd):
        os.close(opened_fd)
    assert path.read_text() == "of yesterday"


def test_no_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner may hold it open for reading; it is refused, and let alone."""
    path = tmp_path / "events"
    path.write_text("of yesterday")
    path.chmod(0o644)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setenv("SUDO_UID", str(owner))  # which only root may rely on
    with pytest.raises(PellucidError, match=rf"it belongs to another user \(uid {owner}\); remove it first"):
        opened(path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("of yesterday", 0o644)


def test_no_file_with_another_name(tmp_path: Path) -> None:
    """Who made a second name for it may read it there; it is refused, and let alone."""
    path = tmp_path / "events"
    path.write_text("of yesterday")
    (tmp_path / "other").hardlink_to(path)
    with pytest.raises(PellucidError, match=r"it has other names \(hard links\); remove it first"):
        opened(path)
    assert path.read_text() == "of yesterday"


def test_a_refusal_leaves_nothing_open(tmp_path: Path) -> None:
    """The descriptor of a refused file is closed again."""
    path = tmp_path / "events"
    path.touch()
    (tmp_path / "other").hardlink_to(path)
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(PellucidError):
        opened(path)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_what_is_typed_cannot_be_read() -> None:
    """Of a terminal that is open for both, an output is for writing only, and still that terminal."""
    ours, theirs = pty.openpty()
    fd = write_only(theirs)
    try:
        os.write(ours, b"password\n")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(fd, 1)
        assert os.ttyname(fd) == os.ttyname(theirs)
        assert os.get_blocking(theirs)
    finally:
        for opened_fd in (ours, theirs, fd):
            os.close(opened_fd)


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
