"""A HAR file of a live capture: whole while it grows, and what is left of it when a process is killed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.processes import decoder_of
from tests.kernel.running import wait_for
from tests.kernel.servers import HELLO, Nginx, websocket_server
from tests.kernel.victims import SOURCES
from tests.shell import RECORDINGS, only_line, pellucid
from tests.sink.har_schema import check_har
from tests.valid import check as check_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

ROUNDS = 7
BODY = bytes(range(256)) * 300
"""Not text, and longer than a TLS record."""


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """An nginx of this test's own, with one file."""
    server = Nginx(programs, tls, tmp_path / "nginx")
    (server.files / "body").write_bytes(BODY)
    return server


def talk(programs: Programs, nginx: Nginx) -> None:
    """Some requests on one connection, the last of them for the file."""
    urls = [f"{nginx.url}/{number}?q=a%20b" for number in range(ROUNDS - 1)]
    programs.run("curl", "-sk", *urls, f"{nginx.url}/file/body")


def told(entries: list[dict[str, Any]], role: str) -> list[tuple[str, int]]:
    """URL and status of each exchange at one end."""
    return [
        (entry["request"]["url"], entry["response"]["status"]) for entry in entries if entry["_role"] == role
    ]


def written(lines: Path) -> int:
    """How many exchanges the output that is flushed after the HAR has."""
    return lines.read_text().count('"type":"http"')


def test_a_growing_file(
    nginx: Nginx, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """While the capture runs the file is valid and has every exchange that ended, at both ends, with its body.

    The same in JSON lines is as the schema of messages says.
    """
    path, lines = tmp_path / "out.har", tmp_path / "out.ndjson"
    run = capture("-o", f"har:{path}", "-o", f"json:{lines}")
    talk(programs, nginx)
    # Nothing is written any more when it is read: a reader may meet a write, as docs/har.md says.
    wait_for(lambda: written(lines) == 2 * ROUNDS, "all exchanges")
    assert len(check_har(path.read_bytes())) == 2 * ROUNDS
    run.stop()

    entries = check_har(path.read_bytes())
    urls = [f"{nginx.url}/{number}?q=a%20b" for number in range(ROUNDS - 1)]
    for role in ("client", "server"):
        assert told(entries, role) == [(url, 200) for url in [*urls, f"{nginx.url}/file/body"]]
    first, last = entries[0], entries[-1]
    assert (first["response"]["content"]["text"], first["serverIPAddress"]) == (HELLO, "127.0.0.1")
    assert first["request"]["queryString"] == [{"name": "q", "value": "a b"}]
    body = base64.b64decode(last["response"]["content"]["text"])
    assert hashlib.sha256(body).digest() == hashlib.sha256(BODY).digest()
    assert last["time"] > 0
    assert path.stat().st_mode & 0o777 == 0o600
    for line in lines.read_bytes().splitlines():
        check_message(line)


@pytest.mark.parametrize("killed", ["tracer", "decoder"])
def test_a_killed_process(
    killed: str, nginx: Nginx, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """After kill -9 of either process the file is valid and holds everything that had been flushed."""
    path, lines = tmp_path / "out.har", tmp_path / "out.ndjson"
    run = capture("-o", f"har:{path}", "-o", f"json:{lines}")
    decoder = decoder_of(run.process.pid)
    talk(programs, nginx)
    wait_for(lambda: written(lines) == 2 * ROUNDS, "all exchanges")
    os.kill(run.process.pid if killed == "tracer" else decoder, signal.SIGKILL)
    run.process.wait(10)
    wait_for(lambda: not Path(f"/proc/{decoder}").exists(), "the decoder to end")
    assert len(check_har(path.read_bytes())) == 2 * ROUNDS


def digest(message: dict[str, Any]) -> str:
    """The SHA-256 of a WebSocket message: as it says, or of what it shows when that is all."""
    data = message["data"]
    content = data.encode() if message["opcode"] == 1 else base64.b64decode(data)
    return str(message.get("_sha256") or hashlib.sha256(content).hexdigest())


def test_a_websocket(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """The entry of a handshake has every message at either end, with the hash of what was sent, one of 5 MiB too."""
    port = websocket_server(programs, tls, "context")
    path = tmp_path / "out.har"
    run = capture("-o", f"har:{path}")
    words = (sys.executable, SOURCES / "websocket_client.py", str(port), tls.cert)
    told = list(map(json.loads, programs.run(*words, input=b"\n").stdout.decode().splitlines()))[1:]
    run.stop()

    entries = check_har(path.read_bytes())
    assert sorted(entry["_role"] for entry in entries) == ["client", "server"]
    for entry in entries:
        assert entry["request"]["url"] == f"wss://localhost:{port}/chat?room=1"
        assert (entry["response"]["status"], "_truncated" in entry) == (101, False)
        *data, ping, pong, close, answer = entry["_webSocketMessages"]
        assert [digest(message) for message in data if message["type"] == "send"] == [
            line["sent"] for line in told
        ]
        assert [message["data"] for message in data if message["type"] == "receive"] == [
            line["answer"] for line in told
        ]
        control = [(message["type"], message["opcode"]) for message in (ping, pong, close, answer)]
        assert control == [("send", 9), ("receive", 10), ("send", 8), ("receive", 8)]
        assert close["_code"] == answer["_code"] == 4001


@pytest.mark.parametrize("output", ["har", "har:-"])
def test_standard_output_is_refused(output: str) -> None:
    """HAR on stdout is wrong usage, and the one line says what to write."""
    line = only_line(pellucid("replay", RECORDINGS / "curl_nginx.pellucid", "-o", output), 2)
    assert line == "har needs a file: say har:FILE"


def test_a_device_is_refused() -> None:
    """A place that cannot be rewritten is refused in one line that says what to do."""
    line = only_line(pellucid("replay", RECORDINGS / "curl_nginx.pellucid", "-o", "har:/dev/null"), 1)
    assert line == "cannot write har to /dev/null: name a regular file, which can be rewritten"
