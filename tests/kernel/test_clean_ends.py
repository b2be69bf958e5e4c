"""However a capture ends, everything is written first, and nothing of it stays behind."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel.processes import bpf_ids, remaining
from tests.kernel.running import PATIENCE, Capture, Programs, Tls, http, wait_for
from tests.kernel.servers import Nginx, s_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT_REST, UNDER_LOAD = 1.0, 2.0
"""Seconds: the issue's promises for the end of a capture."""

CLIENT = """
import http.client, os, ssl, sys
context = ssl._create_unverified_context()
server = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]), context=context)
while True:
    server.request("GET", "/")
    server.getresponse().read()
    os.write(1, b".")
"""
"""Asks for ever, and writes a dot for every answer that it has seen."""


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """A server that answers as fast as it is asked."""
    return Nginx(programs, tls, tmp_path / "nginx")


@pytest.fixture
def client(programs: Programs, nginx: Nginx) -> Iterator[Callable[[], int]]:
    """`client()` starts a program that asks nginx for ever; it returns a pipe with a dot for each answer."""
    with ExitStack() as pipes:

        def start() -> int:
            reader, writer = os.pipe()
            pipes.callback(os.close, reader)
            programs.start(sys.executable, "-c", CLIENT, str(nginx.port), stdout=writer)
            os.close(writer)
            return reader

        yield start


def waiting(pipe: int) -> int:
    """How many bytes were written to a pipe and not yet read."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])


def seconds_to_end(run: Capture, number: signal.Signals) -> float:
    """From the signal to the end of the process, which must be a good one."""
    began = time.monotonic()
    run.process.send_signal(number)
    assert run.process.wait(PATIENCE) == 0, run.log.read_text()
    return time.monotonic() - began


# --- the ways to end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals, capture: Callable[..., Capture], nginx: Nginx) -> None:
    """At rest it is gone within a second, with every probe; the summary is the last line, the status 0."""
    run = capture()
    ids = bpf_ids(run.process.pid)
    took = seconds_to_end(run, number)
    assert not any(remaining(ids).values())
    assert [message["type"] for message in run.messages()] == ["summary"]
    assert took < AT_REST


def test_a_signal_under_load(capture: Callable[..., Capture], client: Callable[[], int]) -> None:
    """While a client asks as fast as it is answered it is gone within two seconds, and has lost nothing.

    The best of three counts: whatever else the machine does can only make it later.
    """
    answers = client()

    def one_end() -> float:
        run = capture()
        before = waiting(answers)
        wait_for(lambda: waiting(answers) > before + 1000, "a thousand answers")
        took = seconds_to_end(run, signal.SIGINT)
        assert run.messages()[-1]["lost"] == {}
        return took

    assert min(one_end() for _ in range(3)) < UNDER_LOAD


def test_duration_ends_it(capture: Callable[..., Capture], client: Callable[[], int]) -> None:
    """`--duration` ends it by itself after that time, as the summary says."""
    run = capture("--duration", "1")
    client()
    messages = run.ended()
    assert http(messages)
    assert messages[-1]["type"] == "summary"
    assert messages[-1]["seconds"] >= 1


def test_count_is_exact(capture: Callable[..., Capture], client: Callable[[], int], tmp_path: Path) -> None:
    """`--count N`: N complete exchanges in every output, the same ones, and then the summary."""
    one, other, text = tmp_path / "one", tmp_path / "other", tmp_path / "text"
    run = capture("--count", "7", "-o", f"json:{one}", "-o", f"json:{other}", "-o", f"text:{text}")
    client()
    run.ended()
    run.events = one
    messages = run.messages()
    assert [message["type"] for message in messages if message["type"] != "connection"] == [
        *["http"] * 7,
        "summary",
    ]
    assert all(message["response"]["status"] == 200 for message in http(messages))
    assert messages[-1]["captured"]["http"] == 7
    assert other.read_bytes() == one.read_bytes()
    assert text.read_text().count("\n> GET / HTTP/1.1\n") == 7


def test_a_closed_pipe_ends_it(tls: Tls, client: Callable[[], int], tmp_path: Path) -> None:
    """`| head -n 1` ends it with status 0, and the other output is complete, with its summary."""
    events, log, ready = tmp_path / "events", tmp_path / "log", tmp_path / "ready"
    command = [sys.executable, "-m", "pellucid", "tls", "--libssl", tls.libssl, "--ready-file", ready]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [*command, "-o", "text:-", "-o", f"json:{events}"], stdout=subprocess.PIPE, stderr=stderr
        ) as pellucid,
        subprocess.Popen(["head", "-n", "1"], stdin=pellucid.stdout, stdout=subprocess.PIPE) as head,
    ):
        pellucid.stdout.close()
        wait_for(ready.exists, "the capture to begin")
        client()
        first, _ = head.communicate(timeout=PATIENCE)
        assert pellucid.wait(PATIENCE) == 0, log.read_text()
    assert first.count(b"\n") == 1
    assert '"type":"summary"' in events.read_text().splitlines()[-1]
    ready, closing = log.read_text().splitlines()
    assert "ready" in ready
    assert "a reader of the output has left" in closing
    assert closing.endswith("lost: nothing")


# --- nothing is missing --------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(20))
def test_what_was_answered_is_there(
    attempt: int,
    capture: Callable[..., Capture],
    client: Callable[[], int],
    tmp_path: Path,
) -> None:
    """Every answer that the client had seen when the signal was sent is in every output, at both ends."""
    events, text = tmp_path / "events", tmp_path / "text"
    run = capture("-o", f"json:{events}", "-o", f"text:{text}")
    run.events = events
    answers = client()
    wait_for(lambda: waiting(answers) > 20 * (attempt + 1), "some answers")
    seen = waiting(answers)
    messages = run.stop()
    complete = [message for message in http(messages) if message["response"]]
    at_client = [message for message in complete if message["role"] == "client"]
    assert len(at_client) >= seen
    assert len(complete) - len(at_client) >= seen
    assert text.read_text().count("\n< HTTP/1.1 200 OK\n") == len(complete)
    assert messages[-1]["lost"] == {}


def test_two_captures_do_not_disturb_each_other(
    capture: Callable[..., Capture], tls: Tls, programs: Programs
) -> None:
    """Two at once on one library both see everything; the end of one takes nothing from the other."""
    _, port = s_server(programs, tls, "-www")
    url = f"https://127.0.0.1:{port}"
    short, long = capture(), capture()
    programs.run("curl", "-sk", *[f"{url}/{number}" for number in range(5)])
    both = short.stop()
    programs.run("curl", "-sk", *[f"{url}/{number}" for number in range(5, 7)])
    everything = long.stop()

    def urls(messages: list[dict[str, object]]) -> list[str]:
        return [message["request"]["url"] for message in http(messages, "client")]

    assert urls(both) == [f"/{number}" for number in range(5)]
    assert urls(everything) == [f"/{number}" for number in range(7)]
