"""A recording is the capture itself: it replays to the same bytes, and says so when it is not whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pellucid import replaying
from pellucid.capture.recording import MAGIC
from pellucid.errors import PellucidError
from pellucid.settings import Show
from tests.kernel.inside import become, inside, keep_plugins
from tests.kernel.servers import Nginx

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

NOBODY = 65534
SEED = 20_240_607


class Recorded(NamedTuple):
    """What one capture wrote."""

    recording: Path
    json: Path
    text: Path
    log: str


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """A server with one long file."""
    server = Nginx(programs, tls, tmp_path / "nginx")
    (server.files / "long").write_bytes(random.Random(SEED).randbytes(3 << 20))
    return server


@pytest.fixture
def recorded(
    capture: Callable[..., Capture], programs: Programs, nginx: Nginx, tmp_path: Path
) -> Callable[..., Recorded]:
    """`recorded(*flags)`: a capture of seven requests, one of them for 3 MiB, shown in two ways meanwhile."""

    def make(*flags: str) -> Recorded:
        files = (tmp_path / "recording", tmp_path / "live.json", tmp_path / "live.text")
        run = capture("--record", str(files[0]), "-o", f"json:{files[1]}", "-o", f"text:{files[2]}", *flags)
        programs.run("curl", "-sk", "-o", "/dev/null", f"{nginx.url}/file/long")
        programs.run("curl", "-sk", *[f"{nginx.url}/{number}" for number in range(6)])
        run.stop()
        return Recorded(*files, run.log.read_text())

    return make


def replay(recording: Path, *flags: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run `pellucid replay`."""
    command = [sys.executable, "-m", "pellucid", "replay", str(recording), *flags]
    return subprocess.run(command, capture_output=True, timeout=60, **options)


@pytest.mark.parametrize(
    "flags",
    [(), ("--hex",), ("--tsize", "20", "--connections"), ("--max-body", "100"), ("--count", "3")],
    ids=lambda flags: " ".join(flags) or "plain",
)
def test_replay_equals_live(
    flags: tuple[str, ...], recorded: Callable[..., Recorded], tmp_path: Path
) -> None:
    """With the same flags a replay writes, byte for byte, what the capture has written, as JSON and as text."""
    live = recorded(*flags)
    json, text = tmp_path / "again.json", tmp_path / "again.text"
    again = replay(live.recording, "-o", f"json:{json}", "-o", f"text:{text}", *flags)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    assert json.read_bytes() == live.json.read_bytes()
    assert text.read_bytes() == live.text.read_bytes()
    assert b'"type":"http"' in json.read_bytes()


def test_replay_needs_no_root(recorded: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    """The user nobody can replay a recording that they may read, to the same bytes."""
    live = recorded()
    keep_plugins(monkeypatch)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)
        (folder / "recording").write_bytes(live.recording.read_bytes())
        settings = Show(output=(f"json:{folder}/again",), memory=1000)
        error = inside(lambda: become(NOBODY), lambda: replaying.replay(folder / "recording", settings))
        assert error is None
        assert (folder / "again").read_bytes() == live.json.read_bytes()


def test_a_recording_is_private(recorded: Callable[..., Recorded]) -> None:
    """It has mode 0600, and the log warns that it holds secrets."""
    live = recorded()
    assert live.recording.stat().st_mode & 0o777 == 0o600
    assert f"WARNING the recording {live.recording} will hold secrets" in live.log


def assert_breaks_off(live: Recorded, replayed: bytes) -> None:
    """All that was whole in the recording is as it was live, then what was not, and a summary that says so."""
    if not replayed:
        return  # the file ends before anything was said
    *lines, summary = map(json.loads, replayed.splitlines())
    whole = [line for line in lines if not line.get("error")]
    assert whole == [json.loads(line) for line in live.json.read_bytes().splitlines()[: len(whole)]]
    assert lines[: len(whole)] == whole
    assert summary == json.loads(live.json.read_bytes().splitlines()[-1]) or not summary["complete"]


def test_the_limit_ends_the_recording_only(recorded: Callable[..., Recorded]) -> None:
    """At `--record-limit` the recording ends, whole, with a warning; what follows is captured all the same."""
    live = recorded("--record-limit", "1")
    assert "WARNING the recording has reached 1 MiB and ends; the capture goes on" in live.log
    assert live.recording.stat().st_size <= 1 << 20
    again = replay(live.recording, "-o", "json")
    assert (again.returncode, again.stderr) == (0, b"")
    assert_breaks_off(live, again.stdout)
    assert b'"/5"' in live.json.read_bytes()
    assert b'"/5"' not in again.stdout


def test_recording_alone(
    capture: Callable[..., Capture], programs: Programs, nginx: Nginx, tmp_path: Path
) -> None:
    """Without -o only the summary is shown, and yet everything is recorded."""
    recording = tmp_path / "recording"
    run = capture("--record", str(recording))
    programs.run("curl", "-sk", f"{nginx.url}/quiet")
    run.stop()
    shown = (run.folder / "stdout").read_text().splitlines()
    assert [line.split(maxsplit=1)[1] for line in shown][-1] == "nothing lost"
    assert "/quiet" not in "".join(shown)
    assert b"GET /quiet HTTP/1.1" in replay(recording).stdout


def test_recording_with_a_count(
    capture: Callable[..., Capture], programs: Programs, nginx: Nginx, tmp_path: Path
) -> None:
    """`--record` with `--count` ends after that many exchanges; shown are those."""
    run = capture("--record", str(tmp_path / "recording"), "--count", "1")
    programs.run("curl", "-sk", f"{nginx.url}/one")
    run.ended()
    assert "> GET /one HTTP/1.1" in (run.folder / "stdout").read_text()


# --- recordings that are not whole ---------------------------------------------------------------------


def test_a_recording_cut_short(recorded: Callable[..., Recorded], tmp_path: Path) -> None:
    """Cut anywhere, it is shown up to there, with one warning and status 0."""
    live = recorded()
    whole, cut = live.recording.read_bytes(), tmp_path / "cut"
    for size in (len(MAGIC), len(MAGIC) + 3, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        cut.write_bytes(whole[:size])
        again = replay(cut, "-o", "json")
        assert again.returncode == 0
        assert f"{cut} was cut short" in again.stderr.decode()
        assert again.stderr.count(b"\n") == 1
        assert_breaks_off(live, again.stdout)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89", b"GET / HTTP/1.1\r\n\r\n", MAGIC.replace(b"\r\n", b"\n"), MAGIC[:13] + b"\x02\0\0"],
    ids=["empty", "one byte", "something else", "mangled as text", "of the next version"],
)
def test_what_is_no_recording(content: bytes, tmp_path: Path) -> None:
    """Any other file gets one line that names it, and status 1."""
    path = tmp_path / "file"
    path.write_bytes(content)
    answer = replay(path)
    assert (answer.returncode, answer.stdout) == (1, b"")
    assert answer.stderr.startswith(f"pellucid: {path}: ".encode())
    assert answer.stderr.count(b"\n") == 1


def test_damage_is_never_a_traceback(recorded: Callable[..., Recorded], tmp_path: Path) -> None:
    """Whatever single byte of a recording is wrong: it is shown, or refused in one line that is ours."""
    whole = recorded("--record-limit", "1").recording.read_bytes()
    dice, damaged = random.Random(SEED), tmp_path / "damaged"
    settings = Show(output=(f"json:{tmp_path / 'shown'}",), memory=1000)
    refusals = []
    for _ in range(300):
        content = bytearray(whole[: 64 << 10])
        content[dice.randrange(len(content))] ^= dice.randrange(1, 256)
        damaged.write_bytes(content)
        try:
            replaying.replay(damaged, settings)
        except PellucidError as error:
            refusals.append(str(error))
    assert refusals
    assert [text for text in refusals if "\n" in text] == []
