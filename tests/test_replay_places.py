"""A replay into connections: everything arrives, and what is no such server is said in one line."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from websockets.sync.server import serve

from tests.shell import RECORDINGS, only_line, pellucid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDING = RECORDINGS / "curl_nginx.pellucid"
EXPECTED = RECORDINGS / "curl_nginx.ndjson"


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that talks to one connection: its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with server.accept()[0] as end:
                talk(end)

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


def test_a_connection() -> None:
    """Its server gets, byte for byte, what a file gets, and then the end of the stream."""
    received = bytearray()

    def keep(end: socket.socket) -> None:
        while piece := end.recv(100):
            received.extend(piece)

    with listening(keep) as port:
        answer = pellucid("replay", RECORDING, "-o", f"json:tcp://localhost:{port}")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert bytes(received) == EXPECTED.read_bytes()


@pytest.mark.parametrize("format", ["json", "protobuf"])
def test_a_websocket(format: str) -> None:
    """Text comes as text, one message a line; anything else as bytes; at the end the connection is closed properly."""
    received: list[str | bytes] = []
    with serve(received.extend, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        place = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        answer = pellucid("replay", RECORDING, "-o", f"{format}:{place}")
        server.shutdown()
        thread.join(20)
    assert (answer.returncode, answer.stderr) == (0, "")
    if format == "json":
        assert received == EXPECTED.read_text().splitlines()
    else:
        assert len(received) > len(EXPECTED.read_text().splitlines())
        assert all(isinstance(message, bytes) for message in received)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "the server refused the WebSocket with status 404",
        ),
        (b"220 mail.example ESMTP\r\n", "the server does not speak WebSocket"),
        (b"", "the other end has closed the connection"),
    ],
)
def test_no_such_server(said: bytes, expected: str) -> None:
    """It is one line that names the place and what it did; status 1."""

    def refuse(end: socket.socket) -> None:
        end.recv(4096)
        end.sendall(said)

    with listening(refuse) as port:
        line = only_line(pellucid("replay", RECORDING, "-o", f"json:ws://127.0.0.1:{port}/x"), 1)
    assert line.startswith(f"cannot write to ws://127.0.0.1:{port}/x: {expected}")
