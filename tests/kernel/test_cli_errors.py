"""What keeps a capture from beginning, or going on, is one line for the user, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid import commands
from pellucid.settings import Tls as Settings
from tests.kernel.inside import become, inside
from tests.kernel.running import Capture, Programs, Tls, wait_for
from tests.kernel.servers import s_server
from tests.shell import COMMAND, on_terminal, only_line, pellucid

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 65534
NO_PROCESS = 2**22 + 1
"""Above the kernel's largest pid (PID_MAX_LIMIT in linux/threads.h)."""


@pytest.fixture
def here(tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a libssl of its own, where the command is run."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tls.libssl, tmp_path / "libssl.so.3")
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--libssl", "missing"], "cannot open missing: No such file or directory"),
        (["--libssl", "."], ". is not a regular file"),
        (["--libssl", "text"], "text is not an ELF file"),
        (
            ["--libssl", "/bin/true"],
            "/bin/true does not define SSL_read and SSL_write: it is no OpenSSL library",
        ),
        (["--pid", str(NO_PROCESS)], f"there is no process {NO_PROCESS}"),
        (["--libssl", "libssl.so.3", "--pid", str(NO_PROCESS)], f"there is no process {NO_PROCESS}"),
        (
            ["--libssl", "libssl.so.3", "--cgroup_path", "."],
            ". is not a directory of cgroup v2: see `mount -t cgroup2`",
        ),
        (
            ["--libssl", "libssl.so.3", "--cgroup_path", "missing"],
            "missing is not a directory of cgroup v2: see `mount -t cgroup2`",
        ),
        (
            ["--libssl", "libssl.so.3", "-o", "json:missing/events"],
            "cannot write to missing/events: No such file or directory",
        ),
        (
            ["--libssl", "libssl.so.3", "-o", "json:link"],
            "cannot write to link: it is a symbolic link, which is not followed; name the file itself",
        ),
        (
            ["--libssl", "libssl.so.3", "-o", "json:pipe"],
            "cannot write to pipe: it is a named pipe that nobody reads; start its reader first",
        ),
        (
            ["--libssl", "libssl.so.3", "--ready-file", "missing/ready"],
            "cannot write to missing/ready: No such file or directory",
        ),
        (["-l", "missing/log"], "cannot write the log to missing/log: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_begin(flags: list[str], expected: str, here: Path) -> None:
    """One line says what is wrong with what; the status is 1; both processes have ended."""
    (here / "text").write_text("no library")
    (here / "link").symlink_to("/tmp/elsewhere")
    os.mkfifo(here / "pipe")
    # That the command returns shows that the decoder, which holds its stderr too, has ended.
    assert only_line(pellucid("tls", *flags), 1) == expected


def test_without_root() -> None:
    """Anybody else is told to become root, before anything is tried."""
    error = inside(lambda: become(NOBODY), lambda: commands.capture(Settings()))
    assert "needs root: run it with sudo" in error


@pytest.mark.parametrize("place", ["/dev/full", "stdout"])
def test_a_full_disk(place: str, tls: Tls, programs: Programs, tmp_path: Path) -> None:
    """The capture ends at the first message that cannot be written: one line, status 1."""
    _, port = s_server(programs, tls, "-www")
    ready, log = tmp_path / "ready", tmp_path / "log"
    output = "json:-" if place == "stdout" else f"json:{place}"
    words = [*COMMAND, "tls", "--libssl", tls.libssl, "-o", output, "--ready-file", ready]
    with log.open("wb") as stderr, Path("/dev/full").open("wb") as full:
        process = subprocess.Popen([str(word) for word in words], stdout=full, stderr=stderr)
    wait_for(ready.exists, "the capture to begin")
    programs.run("curl", "-sk", f"https://127.0.0.1:{port}/")
    assert process.wait(20) == 1
    assert log.read_text().splitlines()[1:] == [f"pellucid: cannot write to {place}: No space left on device"]


@pytest.mark.parametrize(("environment", "colours"), [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(environment: dict[str, str], colours: bool, here: Path) -> None:
    """On a terminal the decoder's text has colours, unless NO_COLOR says otherwise."""
    seen = on_terminal("tls", "--libssl", here / "libssl.so.3", "--duration", "0.1", env=environment)
    assert "nothing lost" in seen
    assert ("\x1b[" in seen) is colours


def test_the_decoders_log_goes_where_the_tracers_goes(
    capture: Callable[..., Capture], programs: Programs, tls: Tls, tmp_path: Path
) -> None:
    """With `-l` what the decoder has to say is in that file too, and in no output."""
    _, port = s_server(programs, tls, "-WWW", cwd=tmp_path)
    (tmp_path / "long").write_bytes(bytes(2 << 20))
    log, events = tmp_path / "the log", tmp_path / "events"
    run = capture(
        "-l", str(log), "-o", f"json:{events}", "--record", str(tmp_path / "r"), "--record-limit", "1"
    )
    programs.run("curl", "-sk", "-o", "/dev/null", f"https://127.0.0.1:{port}/long")
    run.stop()
    assert "is full at 1 MiB and has ended" in log.read_text()
    assert run.log.read_text() == ""
    assert [line for line in events.read_text().splitlines() if not line.startswith("{")] == []


def test_interrupted_before_it_began(here: Path) -> None:
    """A signal that comes while it still attaches ends it as one that comes later: cleanly, status 0."""
    words = [*COMMAND, "tls", "--libssl", "libssl.so.3", "-d", "-l", "log"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: Path("log").exists() and "SSL_" in Path("log").read_text(), "it to attach")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert out.endswith(b"nothing lost\n")
