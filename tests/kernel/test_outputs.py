"""Where a live capture's messages go: connections that come and go, files that rotate, compressed ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
from websockets.sync.server import serve

from tests.kernel.processes import decoder_of, state
from tests.kernel.running import free_port, wait_for
from tests.kernel.servers import Nginx

SUDO_USER = 54321


@pytest.fixture
def nginx(programs, tls, tmp_path):
    """A server to talk to."""
    return Nginx(programs, tls, tmp_path / "nginx")


def talk(programs, nginx, times):
    """So many requests of curl, on one connection."""
    programs.run("curl", "-sk", *[f"{nginx.url}/{number}" for number in range(times)])


class Collector:
    """A TCP server that keeps the lines it gets; `leave` and `come` are its absence."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections: list[bytearray] = []
        self.reading = threading.Event()
        self.reading.set()
        self.come()

    def come(self) -> None:
        """Listen."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, args=(self._listening,))
        self._thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                end, _ = listening.accept()
            except OSError:
                return
            self._ends.append(end)
            self.connections.append(bytearray())
            self._read(end, self.connections[-1])

    def _read(self, end: socket.socket, text: bytearray) -> None:
        with end, suppress(ConnectionResetError):
            while self.reading.wait() and (piece := end.recv(65536)):
                text += piece

    def leave(self, how: int = socket.SHUT_WR) -> None:
        """Listen no more, and have the other end know; what it still sends is read."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            with suppress(OSError):  # it has ended already
                end.shutdown(how)
        self._thread.join()

    def say(self, text: bytes) -> None:
        """Talk back, on the last connection."""
        self._ends[-1].sendall(text)

    def lines(self, connection: int) -> list[bytes]:
        """The whole lines of one connection."""
        return [
            line
            for line in bytes(self.connections[connection]).splitlines(keepends=True)
            if line.endswith(b"\n")
        ]


@pytest.fixture
def collector():
    """One that listens."""
    server = Collector(free_port())
    yield server
    server.reading.set()
    server.leave(socket.SHUT_RDWR)


def test_a_connection(capture, programs, nginx, collector, tmp_path):
    """Its server gets, byte for byte, what a file gets; when it has gone and come back, what came meanwhile too."""
    file = tmp_path / "file"
    run = capture("-o", f"json:tcp://127.0.0.1:{collector.port}", "-o", f"json:{file}")
    talk(programs, nginx, 7)
    wait_for(lambda: collector.connections and len(collector.lines(0)) > 14, "the messages")
    collector.leave()
    wait_for(lambda: "wait for another connection" in run.log.read_text(), "the loss to be noticed")
    talk(programs, nginx, 7)
    collector.come()
    wait_for(lambda: "connected again" in run.log.read_text(), "another connection")
    talk(programs, nginx, 7)
    run.stop()
    wait_for(lambda: b"summary" in collector.connections[-1], "the last line")

    expected = file.read_bytes().splitlines(keepends=True)
    first, second = collector.lines(0), collector.lines(1)
    assert sum(b'"type":"http"' in line for line in expected) == 2 * 3 * 7
    assert first == expected[: len(first)]
    assert second == expected[-len(second) :]
    assert len(first) + len(second) >= len(expected)


def test_a_reader_that_stops(capture, programs, nginx, collector, tmp_path):
    """It holds up nobody: the file has everything; what it missed is counted for it where it is missing."""
    file = tmp_path / "file"
    run = capture("-o", f"json:tcp://127.0.0.1:{collector.port}", "-o", f"json:{file}", "--max-body", "1000")
    collector.reading.clear()
    programs.run("ab", "-q", "-k", "-n", "12000", "-c", "4", f"{nginx.url}/")
    wait_for(lambda: file.read_bytes().count(b'"type":"http"') == 24_000, "all exchanges in the file")
    collector.reading.set()
    wait_for(lambda: b"place_full" in collector.connections[0], "the loss to be said")
    run.stop()
    wait_for(lambda: b"summary" in collector.connections[0], "the last line")

    expected = file.read_bytes().splitlines(keepends=True)
    at = missing = 0
    for line in collector.lines(0):
        if b"place_full" in line:
            lost = json.loads(line)
            assert sum(map(len, expected[at : at + lost["messages"]])) == lost["size"]
            at += lost["messages"]
            missing += lost["messages"]
        else:
            assert line == expected[at]
            at += 1
    assert at == len(expected)
    assert missing > 1000


@pytest.mark.parametrize(
    "flags", [("--count", "3"), (), ("-o", "json")], ids=["alone", "recording", "beside"]
)
def test_the_log(flags, capture, programs, nginx, collector, tmp_path):
    """A connection for the log gets the tracer's lines; and messages where nothing else was asked for. Stderr has them too."""
    place = f"tcp://127.0.0.1:{collector.port}"
    run = capture("-l", place, "--record", str(tmp_path / "recording"), *flags)
    talk(programs, nginx, 1)
    decoder = decoder_of(run.process.pid)
    wait_for(lambda: collector.connections and collector.connections[0], "the first line")
    collector.say(b"what it says means nothing, but has to be taken")
    wait_for(lambda: all(state(decoder) == "S" for _ in range(50)), "the decoder to have nothing to do")
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0
    wait_for(lambda: all(end.fileno() < 0 for end in collector._ends), "the end of the connection")
    ready = next(line for line in run.log.read_text().splitlines() if " ready: watching 1 target" in line)
    text = b"".join(collector.lines(0)).decode()
    assert f"{ready}\n" in text
    assert ("> GET /0 HTTP/1.1\n" in text) is ("--count" in flags)


@contextmanager
def viewer():
    """A WebSocket server: its URL, and the messages that it gets."""
    received = []

    def keep(connection):
        received.extend(connection)

    with serve(keep, "127.0.0.1", 0, ping_interval=0.1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/events", received
        server.shutdown()
        thread.join()


def test_a_websocket(capture, programs, nginx, tmp_path):
    """Its server gets each line of a file as one text message, pings meanwhile and is answered."""
    file = tmp_path / "file"
    with viewer() as (url, received):
        run = capture("-o", f"json:{url}", "-o", f"json:{file}")
        talk(programs, nginx, 7)
        wait_for(lambda: len(received) > 14, "the messages")
        run.stop()
        wait_for(lambda: any('"summary"' in message for message in received), "the last message")
    assert received == file.read_text().splitlines()


@pytest.mark.parametrize("place", ["tcp://127.0.0.1:{port}", "ws://127.0.0.1:{port}/"])
def test_nobody_is_there(capture, place):
    """A place that nobody listens at is one line, and status 1, before anything is attached."""
    place = place.format(port=free_port())
    with pytest.raises(AssertionError, match=f"pellucid: cannot write to {place}: Connection refused\n$"):
        capture("--eventaddr", place)


def test_rotation_under_load(capture, programs, nginx, tmp_path, monkeypatch):
    """All files in a row are, byte for byte, what another output got; they are private, and the user's behind sudo."""
    monkeypatch.setenv("SUDO_UID", str(SUDO_USER))
    monkeypatch.setenv("SUDO_GID", str(SUDO_USER))
    folder, whole = tmp_path / "rotated", tmp_path / "whole.ndjson.zst"
    folder.mkdir()
    run = capture("-o", f"json:{folder / 'events.ndjson'}", "-o", f"json:{whole}", "--rotate-size", "1")
    programs.run("ab", "-q", "-k", "-n", "6000", "-c", "4", f"{nginx.url}/")
    run.stop()

    files = [*sorted(folder.glob("events-*")), folder / "events.ndjson"]
    parts = [*sorted(tmp_path.glob("whole-*")), whole]
    assert len(files) >= 4
    texts = [file.read_bytes() for file in files]
    assert max(map(len, texts)) <= 1 << 20
    assert all(text.endswith(b"\n") for text in texts)
    text = b"".join(texts)
    assert text == subprocess.run(["zstd", "-dc", *parts], check=True, capture_output=True).stdout
    assert text.count(b'"type":"http"') == 12_000
    assert json.loads(text.splitlines()[-1])["lost"] == {}
    for file in (*files, *parts):
        status = file.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (SUDO_USER, SUDO_USER, 0o600)


def test_a_compressed_file_whose_writer_is_killed(capture, programs, nginx, tmp_path):
    """Everything up to the last flush can be read, while the capture runs and after `kill -9`."""
    file = tmp_path / "events.zst"
    run = capture("-o", f"json:{file}")

    def exchanges() -> int:
        return subprocess.run(["zstd", "-dc", file], capture_output=True).stdout.count(b'"type":"http"')

    talk(programs, nginx, 7)
    wait_for(lambda: exchanges() == 14, "the exchanges to be readable")
    os.kill(decoder_of(run.process.pid), signal.SIGKILL)
    assert run.process.wait(10) == 1
    assert exchanges() == 14
