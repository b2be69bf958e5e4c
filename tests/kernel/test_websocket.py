"""WebSocket over TLS: Node with ws as the server, Python with websockets as the client, both watched."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import debian_node, packages
from tests.kernel.running import PATIENCE, free_port, http
from tests.kernel.servers import websocket_server
from tests.kernel.streams import shown
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls


def digest(message: dict[str, Any]) -> str:
    """The SHA-256 of a message: as it says, or of what it shows when that is all."""
    return str(message.get("sha256") or hashlib.sha256(shown(message, "data")).hexdigest())


@pytest.fixture
def serve(tls: Tls, programs: Programs) -> Callable[[str], int]:
    """`serve(deflate)` starts the server and returns its port."""
    return lambda deflate: websocket_server(programs, tls, deflate)


@pytest.mark.parametrize("deflate", ["none", "context", "fresh"])
def test_both_ends(
    tls: Tls,
    programs: Programs,
    capture: Callable[..., Capture],
    serve: Callable[[str], int],
    deflate: str,
) -> None:
    """Both ends show every message with the hash of what was sent, one of 5 MiB too, and nothing else."""
    port = serve(deflate)
    run = capture()
    words = (sys.executable, SOURCES / "websocket_client.py", str(port), tls.cert)
    client = programs.run(*words, input=b"\n")
    messages = run.stop()

    agreed, *told = map(json.loads, client.stdout.decode().splitlines())
    assert ("permessage-deflate" in agreed) is (deflate != "none")
    assert agreed.count("no_context_takeover") == (2 if deflate == "fresh" else 0)
    said = [(line["sent"], line["size"]) for line in told]
    answers = [(hashlib.sha256(line["answer"].encode()).hexdigest(), 64) for line in told]
    for role, asks, replies in (("client", "write", "read"), ("server", "read", "write")):
        (upgrade,) = http(messages, role)
        assert (upgrade["request"]["url"], upgrade["response"]["status"]) == ("/chat?room=1", 101)
        mine = [m for m in messages if m["type"] == "websocket" and m["role"] == role]
        data = [m for m in mine if m["opcode"] in {"text", "binary"}]
        assert [(digest(m), m["size"]) for m in data if m["direction"] == asks] == said
        assert [(digest(m), m["size"]) for m in data if m["direction"] == replies] == answers
        assert [m["truncated"] for m in data if m["size"] > 1 << 20] == [True]
        others = [(m["direction"], m["opcode"], m["data"], m.get("code")) for m in mine if m not in data]
        assert others == [
            (asks, "ping", "are you there", None),
            (replies, "pong", "are you there", None),
            (asks, "close", "enough", 4001),
            (replies, "close", "enough", 4001),
        ]
        assert {(m["url"], m["error"], m["conn"]) for m in mine} == {("/chat?room=1", None, upgrade["conn"])}
    assert not [m for m in messages if m["type"] == "data"]
    assert messages[-1]["lost"] == {}


def test_a_connection_older_than_the_capture(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], serve: Callable[[str], int]
) -> None:
    """Where the handshake was not seen both directions are found by their texts, and then nothing is missing."""
    port = serve("none")
    words = (sys.executable, SOURCES / "websocket_client.py", str(port), tls.cert)
    client = programs.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.readline()
    run = capture()
    answer, _ = client.communicate(b"\n", timeout=PATIENCE)
    messages = run.stop()

    told = [json.loads(line) for line in answer.decode().splitlines()]
    for role, asks, replies in (("client", "write", "read"), ("server", "read", "write")):
        mine = [m for m in messages if m["type"] == "websocket" and m["role"] == role]
        data = [m for m in mine if m["opcode"] in {"text", "binary"}]
        assert [digest(m) for m in data if m["direction"] == asks] == [line["sent"] for line in told]
        assert [m["data"] for m in data if m["direction"] == replies] == [line["answer"] for line in told]
        assert {(m["url"], m["error"]) for m in mine} == {(None, None)}
    assert not [m for m in messages if m["type"] == "data"]


def test_streams_of_http2(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Two WebSockets on one HTTP/2 connection are kept apart at both ends, one of them compressed."""
    run = capture()
    node = debian_node.unpack()
    script = (SOURCES / "websocket_http2.js", packages.npm("ws@8.18.3"), str(free_port()), tls.cert, tls.key)
    env = debian_node.environment(node, tls.libssl)
    told = programs.run(*debian_node.command(node), *script, env=env).stdout.decode().splitlines()
    messages = run.stop()

    lines = [json.loads(line) for line in told]
    assert len({line["stream"] for line in lines}) == 2
    for role, asks, replies in (("client", "write", "read"), ("server", "read", "write")):
        for stream in {line["stream"] for line in lines}:
            mine = [
                m for m in messages if m["type"] == "websocket" and (m["role"], m["stream"]) == (role, stream)
            ]
            data = [m for m in mine if m["opcode"] != "close"]
            said = [line for line in lines if line["stream"] == stream]
            assert [digest(m) for m in data if m["direction"] == asks] == [line["sent"] for line in said]
            assert [m["data"] for m in data if m["direction"] == replies] == [line["answer"] for line in said]
            assert [(m["direction"], m["code"]) for m in mine if m not in data] == [
                (asks, 1000),
                (replies, 1000),
            ]
            assert {m["url"] for m in mine} == {"/true" if stream == 1 else "/false"}
            assert {m["error"] for m in mine} == {None}
    assert messages[-1]["lost"] == {}
