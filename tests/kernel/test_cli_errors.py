"""What keeps a capture from beginning, or going on, is one line for the user, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid import commands, replaying
from pellucid.privileges import decoder_ids
from pellucid.settings import Tls as Settings
from tests.kernel.inside import become, inside, keep_plugins
from tests.kernel.processes import decoder_of, status
from tests.kernel.running import Capture, Programs, Tls, wait_for
from tests.kernel.servers import s_server
from tests.shell import COMMAND, RECORDINGS, on_terminal, only_line, pellucid

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY = 65534
RECORDING = RECORDINGS / "curl_nginx.pellucid"
NO_PROCESS = 2**22 + 1
"""Above the kernel's largest pid (PID_MAX_LIMIT in linux/threads.h)."""


@pytest.fixture
def here(tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a libssl of its own, where the command is run."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(tls.libssl, tmp_path / "libssl.so.3")
    return tmp_path


HINT = "it loads libssl.so.3: name that file, or use --pid"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--libssl", "missing"], "cannot open missing: No such file or directory"),
        (["--libssl", "."], "cannot open .: it is not a regular file"),
        (["--libssl", "text"], "text is not an ELF file"),
        (
            ["--libssl", "/bin/true"],
            "/bin/true does not define SSL_read and SSL_write: it has no OpenSSL inside",
        ),
        (["--pid", str(NO_PROCESS)], f"there is no process {NO_PROCESS}"),
        (
            ["--libssl", "/usr/sbin/nginx"],
            f"/usr/sbin/nginx does not define SSL_read and SSL_write: it has no OpenSSL inside; {HINT}",
        ),
        (["--pid", "2"], "process 2 is the kernel's own: it has no library to watch"),
        (["--libssl", "libssl.so.3", "--pid", str(NO_PROCESS)], f"there is no process {NO_PROCESS}"),
        (
            ["--libssl", "libssl.so.3", "--cgroup_path", "."],
            ". is not a directory of cgroup v2: see `mount -t cgroup2`",
        ),
        (
            ["--libssl", "libssl.so.3", "--cgroup_path", "missing"],
            "there is no directory missing",
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
        (
            ["--libssl", "libssl.so.3", "-m", "keylog", "-k", "."],
            "cannot write to .: Is a directory",
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


@pytest.mark.parametrize("command", ["tls", "targets"])
def test_a_thread_is_no_process(command: str) -> None:
    """Whoever gives the number of a thread is told that of its process."""
    here, told = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (here.set(), told.wait()))
    thread.start()
    here.wait()
    answer = pellucid(command, "--pid", str(thread.native_id))
    told.set()
    thread.join()
    expected = f"{thread.native_id} is a thread of process {os.getpid()}: give --pid {os.getpid()}"
    assert only_line(answer, 1) == expected


@pytest.mark.parametrize("more", [[], ["--follow"]])
def test_a_pid_namespace(more: list[str]) -> None:
    """Where processes have other numbers than the kernel's own, --pid is refused: it would silently see nothing."""
    nested = ["unshare", "--pid", "--fork", "--mount-proc", *COMMAND, "tls", "--pid", "1", *more]
    answer = subprocess.run(nested, capture_output=True, text=True, timeout=20)
    assert only_line(answer, 1) == (
        "this needs the host's process numbers: run it on the host itself, or in a container with --pid=host "
        "(see pellucid doctor)"
    )


def test_a_start_that_fails_keeps_what_was_there(here: Path) -> None:
    """Last night's files survive: only a capture that has begun empties them."""
    for name in ("events", "recording"):
        (here / name).write_text("of last night")
    flags = ["-o", "json:events", "--record", "recording", "--cgroup_path", "missing"]
    answer = pellucid("tls", "--libssl", "libssl.so.3", *flags)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "there is no directory missing" in answer.stderr
    assert [(here / name).read_text() for name in ("events", "recording")] == ["of last night"] * 2


def test_a_start_that_succeeds_does_not(here: Path) -> None:
    """What a longer file held before is gone once a capture has written to it."""
    (here / "events").write_text("of last night" * 10_000)
    flags = ["--libssl", "libssl.so.3", "-o", "json:events", "--duration", "0.1"]
    assert pellucid("tls", *flags).returncode == 0
    assert [json.loads(line)["type"] for line in Path("events").read_text().splitlines()][-1] == "summary"
    assert "last night" not in Path("events").read_text()


@pytest.mark.parametrize(
    "flags", [["--libssl", "missing"], ["-o", "xml"], ["--pid", str(NO_PROCESS)]], ids=lambda flags: flags[0]
)
def test_a_stale_ready_file_is_no_promise(flags: list[str], here: Path) -> None:
    """The ready file of the last run is removed, however early this one fails."""
    (here / "ready").write_text("")
    assert pellucid("tls", *flags, "--ready-file", "ready").returncode != 0
    assert not (here / "ready").exists()


def test_only_a_file_is_a_stale_ready_file(here: Path) -> None:
    """A symbolic link of that name is not removed, nor what it points to."""
    (here / "precious").write_text("precious")
    (here / "ready").symlink_to("precious")
    assert pellucid("tls", "--libssl", "libssl.so.3", "--ready-file", "ready").returncode == 1
    assert (here / "ready").is_symlink()
    assert (here / "precious").read_text() == "precious"


def test_two_libraries(here: Path, tls: Tls, programs: Programs) -> None:
    """Both are watched, and one that is named twice counts once."""
    other = here / "other" / "libssl.so.3"
    other.parent.mkdir()
    shutil.copy(tls.libssl, other)
    libraries = [tls.libssl, other, Path("other/libssl.so.3")]
    flags = [word for library in libraries for word in ("--libssl", library)]
    words = [*COMMAND, "tls", *flags, "-o", "json:events", "--ready-file", "ready", "-l", "log"]
    _, port = s_server(programs, tls, "-www")
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL) as process:
        wait_for((here / "ready").exists, "the capture to begin")
        env = {**tls.env, "LD_LIBRARY_PATH": str(other.parent)}
        programs.run("curl", "-sk", f"https://127.0.0.1:{port}/", env=env)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert "watching 2 targets" in (here / "log").read_text()
    seen = [json.loads(line) for line in (here / "events").read_text().splitlines()]
    assert {message["role"] for message in seen if message["type"] == "http"} == {"client", "server"}


def test_all_streams_closed(here: Path) -> None:
    """A capture whose streams are all closed writes its file, and nothing else gets into it."""
    command = [*COMMAND, "tls", "--libssl", "libssl.so.3", "-d", "-o", "json:events", "--duration", "0.1"]
    answer = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=20)
    assert answer.returncode == 0
    assert json.loads((here / "events").read_text().splitlines()[-1])["type"] == "summary"


def test_stdout_closed(here: Path) -> None:
    """It is said at the start, not at the first message."""
    command = [*COMMAND, "tls", "--libssl", "libssl.so.3"]
    answer = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], timeout=20, capture_output=True, text=True
    )
    assert only_line(answer, 1) == "cannot write to stdout: it is closed"


def test_the_decoder_cannot_read_the_terminal(here: Path) -> None:
    """Whatever the decoder holds of the terminal that the command runs on is for writing only."""
    ours, theirs = pty.openpty()
    words = [*COMMAND, "tls", "--libssl", "libssl.so.3", "--ready-file", "ready"]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        wait_for((here / "ready").exists, "the capture to begin")
        decoder, terminal = decoder_of(process.pid), os.ttyname(theirs)
        wait_for(lambda: len(held_of(terminal, decoder)) > 1, "the decoder to get stdout beside stderr")
        held = held_of(terminal, decoder)
        process.send_signal(signal.SIGINT)
    os.close(ours)
    os.close(theirs)
    assert 2 in held
    assert {flags & os.O_ACCMODE for flags in held.values()} == {os.O_WRONLY}


def held_of(path: str, pid: int) -> dict[int, int]:
    """The flags of each descriptor of a process that is this file (proc(5), /proc/PID/fdinfo)."""
    process = Path(f"/proc/{pid}")
    fds = [fd.name for fd in (process / "fd").iterdir() if str(fd.readlink()) == path]
    return {int(fd): int((process / "fdinfo" / fd).read_text().split()[3], 8) for fd in fds}


def test_a_recording_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no wrong usage: one line with the reason."""
    keep_plugins(monkeypatch)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "recording"
        path.touch(mode=0o600)
        error = inside(lambda: become(NOBODY), lambda: replaying.replay(path, Settings(memory=1000)))
    assert f"cannot read {path}: Permission denied" in error


def test_root_replays_as_nobody(tmp_path: Path) -> None:
    """What parses a recording has neither root's uid nor a capability, while its output is root's file."""
    pipe, events = tmp_path / "pipe", tmp_path / "events"
    os.mkfifo(pipe)
    with subprocess.Popen([*COMMAND, "replay", pipe, "-o", f"json:{events}"]) as process:
        with pipe.open("wb") as feed:
            wait_for(lambda: status(process.pid)["NoNewPrivs"] == "1", "it to give up its rights")
            found = status(process.pid)
            feed.write(RECORDING.read_bytes())
        assert process.wait(20) == 0
    assert found["Uid"].split() == [str(decoder_ids().uid)] * 4
    assert {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert events.read_bytes() == RECORDING.with_suffix(".ndjson").read_bytes()


def test_root_replays_where_it_must_stay_root() -> None:
    """Without the right to change its user (a container's) it goes on, and says so."""
    less = ["setpriv", "--bounding-set", "-setuid,-setpcap", "--inh-caps=-setuid,-setpcap"]
    answer = subprocess.run([*less, *COMMAND, "replay", RECORDING, "-o", "json"], capture_output=True)
    assert answer.returncode == 0
    assert answer.stdout == RECORDING.with_suffix(".ndjson").read_bytes()
    assert b"with root's rights, which cannot be dropped here" in answer.stderr


def test_files_of_the_user_behind_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root writes again to the file that it gave to that user, and to nobody else's."""
    path = tmp_path / "events"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    answer = pellucid("replay", RECORDING, "-o", f"json:{path}")
    reason = f"it belongs to another user (uid {NOBODY}); remove it first"
    assert only_line(answer, 1) == f"cannot write to {path}: {reason}"
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    assert pellucid("replay", RECORDING, "-o", f"json:{path}").returncode == 0
    assert path.read_bytes() == RECORDING.with_suffix(".ndjson").read_bytes()


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody else is told to become root, before anything is tried."""
    keep_plugins(monkeypatch)
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
    assert "the recording has reached 1 MiB" in log.read_text()
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
