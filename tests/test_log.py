"""The log: lines for people, on stderr or at the end of a private file."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pellucid.log
from pellucid.errors import PellucidError
from pellucid.log import configure, log_fds

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """A log of the test's own: the real one is shared with every other test."""
    own = logging.Logger("pellucid")  # noqa: LOG001 - one that nobody else can get
    monkeypatch.setattr(pellucid.log, "log", own)
    yield own
    for handler in own.handlers:
        handler.close()  # a file that `configure` has opened; a stream stays


def test_a_line(tmp_path: Path, log: logging.Logger) -> None:
    """A line has the time of day in UTC, the level and the text."""
    configure(debug=False, path=tmp_path / "log")
    log.warning("the recording %s is full", "x")
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING the recording x is full\n", (tmp_path / "log").read_text())


def test_a_message_is_one_printable_line(tmp_path: Path, log: logging.Logger) -> None:
    """A file's name can neither command the terminal nor begin a line of its own that looks like Pellucid's."""
    configure(debug=False, path=tmp_path / "log")
    log.info("watching %s too", "/a\x1b[2J\udcff\n12:00:00 INFO nothing lost\u202e")
    assert (tmp_path / "log").read_text()[8:] == (
        r" INFO watching /a\x1b[2J\udcff\n12:00:00 INFO nothing lost\u202e too" "\n"
    )


def test_stderr_is_the_default(capfd: pytest.CaptureFixture[str], log: logging.Logger) -> None:
    """Without a file it goes to stderr, and never to stdout, where events are."""
    configure(debug=False, path=None)
    log.info("ready")
    out, err = capfd.readouterr()
    assert (out, err[8:]) == ("", " INFO ready\n")


@pytest.mark.parametrize("debug", [False, True])
def test_debug_is_asked_for(debug: bool, tmp_path: Path, log: logging.Logger) -> None:
    """Details are logged with `-d` only."""
    configure(debug=debug, path=tmp_path / "log")
    log.debug("a detail")
    assert ("a detail" in (tmp_path / "log").read_text()) is debug


def test_a_file_is_continued(tmp_path: Path, log: logging.Logger) -> None:
    """The log is added to the end of a file; a new one is private."""
    path = tmp_path / "log"
    for text in ("first", "second"):
        configure(debug=False, path=path)
        log.info(text)
        log.handlers[0].close()
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["first", "second"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk(log: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """One of both processes says that the file takes no more; its line, and all that follow, are on stderr."""
    configure(debug=False, path=Path("/dev/full"))
    if os.fork() == 0:
        log.info("first")
        os._exit(0)
    os.wait()
    log.info("second")
    said = [line[9:] for line in capfd.readouterr().err.splitlines()]
    full = "WARNING cannot write the log to /dev/full: No space left on device; it goes on here"
    assert said == [full, "INFO first", "INFO second"]


def test_nobody_takes_the_log(monkeypatch: pytest.MonkeyPatch, log: logging.Logger) -> None:
    """A stderr that takes nothing changes nothing else: no traceback and no error, wherever these would go."""
    elsewhere = io.StringIO()
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        configure(debug=False, path=None)
        monkeypatch.setattr("sys.stderr", elsewhere)
        log.info("ready")
    assert elsewhere.getvalue() == ""


@pytest.mark.parametrize("name", ["log", None])
def test_a_line_that_does_not_fit_its_arguments(
    name: str | None, tmp_path: Path, log: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is a mistake of ours, which is told and ends nothing."""
    configure(debug=False, path=name and tmp_path / name)
    log.info("%d", "words")
    assert "Logging error" in capfd.readouterr().err


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A symbolic link is refused: root's log must not land where somebody has pointed."""
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PellucidError, match="cannot write the log to"):
        configure(debug=False, path=tmp_path / "log")
    assert not (tmp_path / "elsewhere").exists()


def test_its_descriptors_are_known(tmp_path: Path) -> None:
    """The decoder, which closes everything else, is told which descriptors the log needs."""
    configure(debug=False, path=tmp_path / "log")
    (fd,) = log_fds()
    with open(fd, "w", closefd=False) as stream:
        stream.write("by descriptor\n")
    assert (tmp_path / "log").read_text() == "by descriptor\n"


def test_on_a_terminal_a_line_replaces_the_counter(
    monkeypatch: pytest.MonkeyPatch, log: logging.Logger
) -> None:
    """There each line begins with erasing what may stand on it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", buffering=1) as stream:
        monkeypatch.setattr("sys.stderr", stream)
        configure(debug=False, path=None)
        log.info("ready\x1b[2J")
        written = os.read(ours, 4096).decode()
    os.close(ours)
    assert re.fullmatch(r"\r\x1b\[K\d\d:\d\d:\d\d INFO ready\\x1b\[2J\r\n", written)
