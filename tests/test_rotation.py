"""Rotation: files that give way to the next one hold together what one file would, each message whole."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest

from pellucid.errors import PellucidError
from pellucid.rotation import Limits, RotatedFile
from tests.shell import RECORDINGS, only_line, pellucid

RECORDING = RECORDINGS / "curl_nginx.pellucid"
EXPECTED = RECORDINGS / "curl_nginx.ndjson"
TWO_MESSAGES = "0.0015"
"""MiB: the recording's messages have between 157 and 817 bytes."""

LIMIT, HOUR = 100_000, 3600

THEIRS = "events-2001-01-01T00-00-00.000.ndjson"
"""No file of ours, although it has such a name."""

NAME = re.compile(r"events-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.ndjson")


def older(folder: Path) -> list[Path]:
    """The files that were put aside, oldest first."""
    return sorted(folder.glob("events-*"))


def rotated(folder: Path, *flags: str, name: str = "events.ndjson") -> list[Path]:
    """Replay the recording into a file that rotates; all files, oldest first."""
    answer = pellucid("replay", RECORDING, "-o", f"json:{folder / name}", *flags)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    return [*older(folder), folder / name]


@pytest.mark.parametrize("flag", ["--rotate-size", "--eventroratesize"])
def test_nothing_is_lost_between_files(flag: str, tmp_path: Path) -> None:
    """All files in a row are, byte for byte, what one file would be; none is larger than it may, or cuts a message."""
    files = rotated(tmp_path, flag, TWO_MESSAGES)
    contents = [file.read_bytes() for file in files]
    assert b"".join(contents) == EXPECTED.read_bytes()
    assert len(files) > 3
    assert all(content.endswith(b"\n") for content in contents)
    assert max(map(len, contents)) <= float(TWO_MESSAGES) * 2**20
    assert max(content.count(b"\n") for content in contents) > 1


def test_the_names_and_modes_of_files(tmp_path: Path) -> None:
    """The newest keeps its name, the others have the time; all of them are private."""
    *aside, newest = rotated(tmp_path, "--rotate-size", TWO_MESSAGES)
    assert all(NAME.fullmatch(file.name) for file in aside)
    assert {file.stat().st_mode & 0o777 for file in (*aside, newest)} == {0o600}
    assert sorted(tmp_path.iterdir()) == sorted([*aside, newest])


def test_a_message_that_is_larger_than_a_file(tmp_path: Path) -> None:
    """It has a file for itself: messages are never cut, and no file is empty."""
    files = rotated(tmp_path, "--rotate-size", "0.0001")
    assert [file.read_bytes() for file in files] == EXPECTED.read_bytes().splitlines(keepends=True)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """With --rotate-keep the oldest are removed, and nothing else that lies there."""
    bystander, someone_elses = tmp_path / "events-of-yesterday.ndjson", tmp_path / THEIRS
    bystander.touch()
    someone_elses.symlink_to(bystander)
    files = rotated(tmp_path, "--rotate-size", TWO_MESSAGES, "--rotate-keep", "2")
    files.remove(bystander)
    files.remove(someone_elses)
    assert len(files) == 3
    assert EXPECTED.read_bytes().endswith(b"".join(file.read_bytes() for file in files))


@pytest.mark.parametrize("spec", ["json:x.ndjson", "text:x", "har:x.har", "protobuf:x.pb"])
def test_an_honest_run_gets_every_file(spec: str, tmp_path: Path) -> None:
    """The privileged process finds each file full that the other says is full, whatever the format."""
    answer = pellucid("replay", RECORDING, "-o", spec, "--rotate-size", TWO_MESSAGES, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(list(tmp_path.iterdir())) > 1


def test_what_an_earlier_run_left(tmp_path: Path) -> None:
    """It is put aside, where without rotation it would be replaced."""
    (tmp_path / "events.ndjson").write_text("of yesterday")
    aside, newest = rotated(tmp_path, "--rotate-size", "1")
    assert aside.read_text() == "of yesterday"
    assert newest.read_bytes() == EXPECTED.read_bytes()


def test_after_a_time(tmp_path: Path) -> None:
    """Each message that comes after the time begins a file."""
    files = rotated(tmp_path, "--rotate-time", "0.000001")
    assert [file.read_bytes() for file in files] == EXPECTED.read_bytes().splitlines(keepends=True)


def test_each_file_is_compressed_for_itself(tmp_path: Path) -> None:
    """The zstd tool reads every file alone, and all in a row are what was written."""
    files = rotated(tmp_path, "--rotate-time", "0.000001", name="events.ndjson.zst")
    assert len(files) > 3
    assert all(file.name.endswith(".ndjson.zst") for file in files)
    plain = [subprocess.run(["zstd", "-dc", file], check=True, capture_output=True).stdout for file in files]
    assert b"".join(plain) == EXPECTED.read_bytes()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ["--rotate-size", "1"],
            "--rotate-size and --rotate-time need an output to a file: say -o json:FILE",
        ),
        (["--rotate-keep", "1", "-o", "json:x"], "--rotate-keep needs --rotate-size or --rotate-time"),
    ],
)
def test_nothing_to_rotate(flags: list[str], expected: str, tmp_path: Path) -> None:
    """Stdout cannot be rotated, and nothing kept of nothing: one line, and status 2."""
    assert only_line(pellucid("replay", RECORDING, *flags, cwd=tmp_path), 2) == expected


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/dev/null", "cannot rotate /dev/null: it is not a regular file"),
        ("missing/x", "cannot write to missing/x: No such file or directory"),
        ("link", "cannot write to link: it is a symbolic link, which is not followed; name the file itself"),
    ],
)
def test_what_cannot_be_rotated(place: str, reason: str, tmp_path: Path) -> None:
    """It is said in one line that names it; status 1."""
    (tmp_path / "link").symlink_to("elsewhere")
    answer = pellucid("replay", RECORDING, "-o", f"json:{place}", "--rotate-size", "1", cwd=tmp_path)
    assert only_line(answer, 1) == reason
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def file(tmp_path: Path):
    """A file that rotates, opened."""
    rotated = RotatedFile(str(tmp_path / "events"), Limits(size=LIMIT, seconds=HOUR, keep=3))
    fds = [rotated.open()]
    yield rotated, fds
    rotated.close()
    for fd in fds:
        os.close(fd)


def test_an_empty_file_stays(file, tmp_path: Path) -> None:
    """Asking again and again makes no files: the next one comes when there is something in this one."""
    rotated, fds = file
    fds += [rotated.following(), rotated.following()]
    assert list(tmp_path.iterdir()) == [tmp_path / "events"]
    assert os.path.sameopenfile(fds[0], fds[2])


def test_two_in_a_millisecond(file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that is taken is not used again: the next millisecond's is."""
    rotated, fds = file
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000)
    for text in (b"one", b"two"):
        os.write(fds[-1], text)
        fds.append(rotated.following())
    names = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert names == {
        "events-1970-01-01T00-00-00.001": b"one",
        "events-1970-01-01T00-00-00.002": b"two",
        "events": b"",
    }


def test_a_file_that_somebody_moved(file, tmp_path: Path) -> None:
    """It stays where they put it, and the next one has the name."""
    rotated, fds = file
    os.write(fds[0], b"one")
    (tmp_path / "events").rename(tmp_path / "mine")
    fds.append(rotated.following())
    assert (tmp_path / "mine").read_bytes() == b"one"
    assert os.path.samestat(os.fstat(fds[1]), (tmp_path / "events").stat())


def test_a_file_that_took_the_name(file, tmp_path: Path) -> None:
    """Somebody else's file is neither moved nor written to: that is said."""
    rotated, fds = file
    os.write(fds[0], b"one")
    (tmp_path / "events").unlink()
    (tmp_path / "events").write_text("precious")
    with pytest.raises(PellucidError, match="another file has taken its place"):
        rotated.following()
    assert (tmp_path / "events").read_text() == "precious"


def test_a_directory_that_moves(file, tmp_path: Path) -> None:
    """The files stay together, whatever the path means by then."""
    rotated, fds = file
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    tmp_path.symlink_to(moved / "elsewhere")
    os.write(fds[0], b"one")
    fds.append(rotated.following())
    tmp_path.unlink()
    moved.rename(tmp_path)
    assert len(list(tmp_path.glob("events*"))) == 2
    assert list(elsewhere.iterdir()) == []


def of_earlier_runs(folder: Path, number: int) -> list[Path]:
    """Files that were put aside long ago."""
    paths = [folder / f"events-2001-01-0{day}T00-00-00.000" for day in range(1, number + 1)]
    for path in paths:
        path.write_text("audit")
    return paths


def long_by_a_hole(fd: int) -> None:
    """Make a file long without writing to it."""
    os.truncate(fd, 10 * LIMIT)


def long_by_a_far_write(fd: int) -> None:
    """Write one byte at the beginning, and one far behind it."""
    os.pwrite(fd, b"x", 0)
    os.pwrite(fd, b"x", 10 * LIMIT)


@pytest.mark.parametrize("fill", [lambda fd: os.write(fd, b"x"), long_by_a_hole, long_by_a_far_write])
def test_one_that_wants_earlier_files_removed(fill, file, tmp_path: Path) -> None:
    """Whoever asks without having filled files gets no more than the one short file that an honest run may have."""
    rotated, fds = file
    earlier = of_earlier_runs(tmp_path, 3)
    for _ in range(6):
        fill(fds[-1])
        fds.append(rotated.following(asked=True))
    assert len(older(tmp_path)) == 3
    assert [path.exists() for path in earlier] == [False, True, True]
    assert os.lseek(fds[-1], 0, os.SEEK_CUR) == os.fstat(fds[-1]).st_size


def test_two_in_a_row_are_more_than_one_may_be(file, tmp_path: Path) -> None:
    """A short file before a long message, and the other way round, are what an honest run leaves; earlier files go then."""
    rotated, fds = file
    earlier = of_earlier_runs(tmp_path, 3)
    for size in (1, LIMIT, 1, LIMIT):
        os.write(fds[-1], bytes(size))
        fds.append(rotated.following(asked=True))
    assert [path.stat().st_size for path in older(tmp_path)] == [LIMIT, 1, LIMIT]
    assert not any(path.exists() for path in earlier)


def test_an_old_file_gives_way(file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time a file may be as short as it is."""
    rotated, fds = file
    earlier = of_earlier_runs(tmp_path, 3)
    now = time.monotonic()
    for hour in (1, 2, 3):
        os.write(fds[-1], b"x")
        monkeypatch.setattr("time.monotonic", lambda hour=hour: now + hour * HOUR)
        fds.append(rotated.following(asked=True))
    assert [path.read_bytes() for path in older(tmp_path)] == [b"x"] * 3
    assert not any(path.exists() for path in earlier)


def test_somebody_else_removes_what_was_listed(file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone between being listed and being looked at is no error."""
    rotated, fds = file
    earlier = of_earlier_runs(tmp_path, 5)
    scan = os.scandir

    def scan_then_clean_up(directory: int):
        entries = list(scan(directory))
        monkeypatch.undo()
        for path in earlier:
            path.unlink()
        return nullcontext(entries)

    os.write(fds[-1], b"x")
    monkeypatch.setattr(os, "scandir", scan_then_clean_up)
    fds.append(rotated.following())
    assert [path.read_bytes() for path in older(tmp_path)] == [b"x"]


def test_somebody_else_removes_first(file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone between being looked at and being removed is no error."""
    rotated, fds = file
    of_earlier_runs(tmp_path, 5)
    unlink = os.unlink

    def removed_twice(name: str, **named) -> None:
        unlink(name, **named)
        if name.startswith("events-2001"):
            unlink(name, **named)

    os.write(fds[-1], b"x")
    monkeypatch.setattr(os, "unlink", removed_twice)
    fds.append(rotated.following())
    assert len(older(tmp_path)) == 3


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_error_leaves_nothing_open(file, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where older files cannot be listed that is said, and the file that was opened is closed."""
    rotated, fds = file
    os.write(fds[-1], b"x")
    monkeypatch.setattr(os, "scandir", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    before = descriptors()
    with pytest.raises(PellucidError, match=r"cannot rotate .*: Permission denied"):
        rotated.following()
    assert descriptors() == before


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_meanwhile(
    links: bool, file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody makes under the very name is not replaced, also where files have one name only."""
    rotated, fds = file
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000)
    theirs = tmp_path / "events-1970-01-01T00-00-00.001"
    before = os.link

    def link(source: str, name: str, **named) -> None:
        theirs.write_text("precious")
        if not links:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        before(source, name, **named)

    monkeypatch.setattr(os, "link", link)
    os.write(fds[-1], b"x")
    fds.append(rotated.following())
    assert theirs.read_text() == "precious"
    assert [path.read_bytes() for path in older(tmp_path)] == [b"precious", b"x"]
