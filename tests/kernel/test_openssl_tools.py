"""openssl s_client and s_server, whose BIOs call functions that no header names."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.kernel.running import PATIENCE, http
from tests.kernel.servers import s_server
from tests.kernel.streams import streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

PIPE = subprocess.PIPE


def test_web_page(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """`s_server -www` answers s_client with a page; both ends show what s_client printed, and where."""
    server, port = s_server(programs, tls, "-www")
    run = capture()
    command = ("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}")
    page = programs.run(*command, input=b"GET / HTTP/1.0\r\n\r\n").stdout
    messages = run.stop()

    (at_client,), (at_server,) = http(messages, "client"), http(messages, "server")
    assert at_server["pid"] == server.pid
    assert page.endswith(at_client["response"]["body"].encode())
    assert "s_server" in at_client["response"]["body"]
    assert at_server["response"] == at_client["response"]
    assert (at_server["src"], at_server["dst"]) == (at_client["src"], f"127.0.0.1:{port}")
    assert messages[-1]["lost"] == {}


def test_reversed_lines(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """`s_server -rev` reads and writes by buffered BIOs: both ends have the lines, forwards and backwards."""
    server, port = s_server(programs, tls, "-rev")
    run = capture()
    command = ("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}")
    printed = programs.run(*command, input=b"forwards\nand again\nCLOSE\n").stdout
    messages = run.stop()

    assert printed == b"sdrawrof\nniaga dna\n"
    at_server, at_client = sorted(streams(messages), key=lambda stream: stream.pid != server.pid)
    assert at_client.written == at_server.read == b"forwards\nand again\nCLOSE\n"
    assert at_client.read == at_server.written == printed
    assert (at_client.local, at_client.remote) == (at_server.remote, at_server.local)
    assert at_client.remote == f"127.0.0.1:{port}"


def test_terminal(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """What is typed at s_client arrives at s_server and the reverse, and both are seen as they were typed."""
    server, port = s_server(programs, tls, "-quiet", stdin=PIPE, stdout=PIPE)
    run = capture()
    command = ("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}")
    client = programs.start(*command, stdin=PIPE, stdout=PIPE)
    for writer, reader, line in (
        (client, server, b"typed at the client\n"),
        (server, client, b"typed at the server\n"),
    ):
        assert writer.stdin
        assert reader.stdout
        writer.stdin.write(line)
        writer.stdin.flush()
        assert reader.stdout.readline() == line
    for program in (client, server):
        program.terminate()
        program.communicate(timeout=PATIENCE)
    messages = run.stop()

    seen = {stream.pid: (stream.read, stream.written) for stream in streams(messages)}
    assert seen == {
        client.pid: (b"typed at the server\n", b"typed at the client\n"),
        server.pid: (b"typed at the client\n", b"typed at the server\n"),
    }
