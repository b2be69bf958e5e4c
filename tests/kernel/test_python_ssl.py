"""Python's ssl at both ends: by sockets (urllib, http.client, threads), and by memory BIOs (asyncio)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import free_port, http, wait_for_port
from tests.kernel.streams import body_hash
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls


@pytest.mark.parametrize(
    ("server", "client"),
    [("threads", "urllib"), ("threads", "http.client"), ("threads", "asyncio"), ("asyncio", "asyncio")],
)
def test_both_ends(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path, server: str, client: str
) -> None:
    """Three requests are seen at both ends with the bodies that the server hashed, and no wrong address."""
    port = free_port()
    script, log = SOURCES / "https_server.py", tmp_path / "server.log"
    with log.open("wb") as output:
        serving = programs.start(sys.executable, script, server, str(port), tls.cert, tls.key, stdout=output)
    wait_for_port(port)
    run = capture()
    command = (sys.executable, SOURCES / "https_client.py", client, str(port), tls.cert)
    answers = programs.run(*command).stdout.decode().split()
    messages = run.stop()

    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["answer"] for line in told] == answers
    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert [one["request"]["url"] for one in exchanges] == ["/0", "/1", "/2"]
        assert [body_hash(one["request"]) for one in exchanges] == answers
        assert [one["response"]["body"] for one in exchanges] == answers
        for exchange, line in zip(exchanges, told, strict=True):
            true = (line["client"], f"127.0.0.1:{port}")
            assert (exchange["src"], exchange["dst"]) == true
    assert {one["pid"] for one in http(messages, "server")} == {serving.pid}
    assert messages[-1]["lost"] == {}
