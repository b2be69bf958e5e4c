"""Server-Sent Events from a Python server to curl: shown while their response is still open."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import PATIENCE, free_port, http, wait_for, wait_for_port
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

SAID = ("first", "and second", "and third")


@pytest.mark.parametrize(
    ("coding", "framing"), [("identity", "chunked"), ("gzip", "chunked"), ("gzip", "close")]
)
def test_events_come_at_once(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], coding: str, framing: str
) -> None:
    """Each event is in the output at both ends before the server sends the next one; the exchange comes last."""
    port = free_port()
    words = (SOURCES / "events_server.py", port, tls.cert, tls.key, coding, framing)
    server = programs.start(sys.executable, *words, stdin=subprocess.PIPE)
    assert server.stdin
    wait_for_port(port)
    run = capture()
    url = f"https://127.0.0.1:{port}/feed"
    curl = programs.start("curl", "-skN", "--compressed", url, stdout=subprocess.PIPE)
    with server.stdin as say:
        for number, line in enumerate(SAID, 1):
            say.write(line.encode() + b"\n")
            say.flush()
            wait_for(lambda: len(run.messages("event")) == 2 * number, f"event {number} at both ends")  # noqa: B023
            assert not run.messages("http")
        say.write(b"\n")
    body, _ = curl.communicate(timeout=PATIENCE)
    messages = run.stop()

    for role, direction in (("client", "read"), ("server", "write")):
        events = [m for m in messages if m["type"] == "event" and m["role"] == role]
        assert [(e["data"], e["id"], e["event"]) for e in events] == [
            (line, str(number), "line") for number, line in enumerate(SAID)
        ]
        assert {(e["url"], e["direction"]) for e in events} == {("/feed", direction)}
        (exchange,) = http(messages, role)
        assert exchange["response"]["body"].encode() == body
        assert exchange["conn"] == events[0]["conn"]
    assert messages[-1]["lost"] == {}
