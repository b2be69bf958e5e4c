"""Server-Sent Events from Python (HTTP/1) and Node (HTTP/2) to curl: shown while their response is still open."""

from __future__ import annotations

import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from tests.kernel import debian_node
from tests.kernel.running import PATIENCE, free_port, http, wait_for, wait_for_port
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.running import Capture, Programs, Tls

SAID = ("first", "and second", "and third")


@pytest.fixture
def serve(tls: Tls, programs: Programs) -> Iterator[Callable[..., tuple[int, IO[bytes]]]]:
    """`serve(how)` starts a server of events; returns its port, and what to write lines to that become events."""
    opened: list[IO[bytes]] = []

    def start(how: str) -> tuple[int, IO[bytes]]:
        port = free_port()
        script, options = (sys.executable, SOURCES / "events_server.py"), how.split()
        env = tls.env
        if how == "HTTP/2":
            node = debian_node.unpack()
            script, options = (*debian_node.command(node), SOURCES / "events_server.js"), []
            env = debian_node.environment(node, tls.libssl)
        words = (*script, str(port), tls.cert, tls.key, *options)
        server = programs.start(*words, stdin=subprocess.PIPE, env=env)
        assert server.stdin
        opened.append(server.stdin)
        wait_for_port(port)
        return port, server.stdin

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize("how", ["identity chunked", "gzip chunked", "gzip close", "HTTP/2"])
def test_events_come_at_once(
    programs: Programs, capture: Callable[..., Capture], serve: Callable[..., tuple[int, IO[bytes]]], how: str
) -> None:
    """Each event is in the output at both ends before the server sends the next one; the exchange comes last."""
    port, say = serve(how)
    run = capture()
    url = f"https://127.0.0.1:{port}/feed"
    curl = programs.start("curl", "-skN", "--compressed", url, stdout=subprocess.PIPE)
    for number, line in enumerate(SAID, 1):
        say.write(line.encode() + b"\n")
        say.flush()
        wait_for(lambda: len(run.messages("event")) == 2 * number, f"event {number} at both ends")  # noqa: B023
        assert not run.messages("http")
    say.write(b"\n")
    say.flush()
    body, _ = curl.communicate(timeout=PATIENCE)
    messages = run.stop()

    for role, direction in (("client", "read"), ("server", "write")):
        events = [m for m in messages if m["type"] == "event" and m["role"] == role]
        assert [(e["data"], e["id"], e["event"]) for e in events] == [
            (line, str(number), "line") for number, line in enumerate(SAID)
        ]
        (exchange,) = http(messages, role)
        assert exchange["response"]["body"].encode() == body
        assert (exchange["protocol"] == "HTTP/2") is (how == "HTTP/2")
        place = (exchange["conn"], exchange["stream"], "/feed", direction)
        assert {(e["conn"], e["stream"], e["url"], e["direction"]) for e in events} == {place}
    assert messages[-1]["lost"] == {}
