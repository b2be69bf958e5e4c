"""Make the recordings that tests/test_replay.py replays, and what is expected of each.

    sudo .venv/bin/python -m tests.recordings.make [NAME...]     record anew: what the live capture showed is
                                                                 what a replay must show, byte for byte
    .venv/bin/python -m tests.recordings.make --expected         only expect anew, after an intended change of
                                                                 the output; read the difference before commit

Each recording is NAME.pellucid, and NAME.ndjson is expected of it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kernel import victims
from tests.kernel.private import private_tls, self_signed
from tests.kernel.running import Capture, Programs, Tls, free_port, wait_for_port
from tests.kernel.servers import Nginx, s_server

from pellucid.replaying import replay
from pellucid.settings import Show

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent
PYTHON = "/usr/bin/python3"
"""The distribution's: its path is recorded."""


class Stage(NamedTuple):
    """What a scene has to work with."""

    tls: Tls
    programs: Programs
    folder: Path


def curl_nginx(stage: Stage) -> None:
    """Three requests on one connection, one of them with a body."""
    nginx = Nginx(stage.programs, stage.tls, stage.folder / "nginx")
    url = nginx.url
    stage.programs.run("curl", "-sk", f"{url}/1", f"{url}/2", "--next", "-sk", "-d", "a=b", f"{url}/upload")
    nginx.stop()


def curl_nginx_http2(stage: Stage) -> None:
    """Requests in HTTP/2: five, three of them at a time, and one with a body."""
    nginx = Nginx(stage.programs, stage.tls, stage.folder / "nginx", http2=True)
    url = nginx.url
    stage.programs.run("curl", "-sk", "--http2", "-Z", "--parallel-max", "3", f"{url}/[1-5]")
    stage.programs.run("curl", "-sk", "--http2", "-d", "a=b", f"{url}/upload")
    nginx.stop()


def s_server_rev(stage: Stage) -> None:
    """Lines between s_client and s_server, which no parser claims."""
    _, port = s_server(stage.programs, stage.tls, "-rev")
    command = ("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}")
    stage.programs.run(*command, input=b"forwards\nCLOSE\n")


def python_asyncio(stage: Stage) -> None:
    """Requests by memory BIOs, with bodies of text and of bytes."""
    port = free_port()
    words = (str(port), stage.tls.cert)
    server = (PYTHON, victims.SOURCES / "https_server.py", "asyncio", *words, stage.tls.key)
    stage.programs.start(*server)
    wait_for_port(port)
    stage.programs.run(PYTHON, victims.SOURCES / "https_client.py", "asyncio", *words)


def live(stage: Stage) -> None:
    """A WebSocket and a stream of events."""
    words = (str(free_port()), stage.tls.cert, stage.tls.key)
    stage.programs.run(PYTHON, victims.SOURCES / "live.py", *words)


def victim(name: str) -> Callable[[Stage], None]:
    """The scene that one victim plays by itself."""

    def play(stage: Stage) -> None:
        victims.run(victims.build(name, stage.folder), stage.programs, stage.tls)

    return play


SCENES = {
    scene.__name__: scene for scene in (curl_nginx, curl_nginx_http2, s_server_rev, python_asyncio, live)
}
SCENES |= {name: victim(name) for name in victims.NAMES}


def recording_of(name: str) -> Path:
    """Where a scene's recording is kept."""
    return FOLDER / f"{name}.pellucid"


def expected_of(name: str) -> Path:
    """Where the JSON is kept that its replay must show."""
    return FOLDER / f"{name}.ndjson"


def show(recording: Path, events: Path) -> None:
    """Replay a recording into a file of JSON lines."""
    replay(recording, Show(output=(f"json:{events}",), memory=1000))


def record(name: str, folder: Path) -> None:
    """Play a scene under capture, and keep its recording and what was shown of it."""
    tls = private_tls(folder, self_signed(folder))
    programs, recording = Programs(tls), folder / "recording"
    output = ("-o", f"json:{folder}/capture/events.ndjson", "--record", str(recording))
    words = [sys.executable, "-m", "pellucid", "tls", "--libssl", str(tls.libssl), *output]
    capture = Capture(words, folder / "capture").wait_until_ready()
    try:
        SCENES[name](Stage(tls, programs, folder))
        capture.stop()
    finally:
        programs.end_all()
        capture.kill()
    shutil.copyfile(recording, recording_of(name))
    shutil.copyfile(capture.events, expected_of(name))


def main(words: list[str]) -> None:
    """Make those that are named, or all."""
    if words == ["--expected"]:
        for name in SCENES:
            show(recording_of(name), expected_of(name))
            expected_of(name).chmod(0o644)
        return
    for name in words or SCENES:
        with tempfile.TemporaryDirectory() as folder:
            record(name, Path(folder))
        print(f"{name}: {recording_of(name).stat().st_size} bytes")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
