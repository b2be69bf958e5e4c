"""Node with the system's shared libssl, which it gives memory BIOs: as client, and as server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import debian_node
from tests.kernel.running import free_port, http, wait_for_port
from tests.kernel.servers import Nginx
from tests.kernel.streams import body_hash
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """Debian's Node, unpacked."""
    return debian_node.unpack()


def test_client(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], node_folder: Path, tmp_path: Path
) -> None:
    """Three bodies that Node posts on one connection are seen at Node as nginx has stored them."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    script = (SOURCES / "https_client.js", f"{nginx.url}/upload", tls.cert)
    env = debian_node.environment(node_folder, tls.libssl)
    answers = programs.run(*debian_node.command(node_folder), *script, env=env).stdout
    accesses = nginx.stop()
    messages = run.stop()

    stored = [hashlib.sha256(Path(line.body_file).read_bytes()).hexdigest() for line in accesses]
    assert answers == b"stored\nstored\nstored\n"
    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert [one["request"]["url"] for one in exchanges] == ["/upload/0", "/upload/1", "/upload/2"]
        assert [body_hash(one["request"]) for one in exchanges] == stored
        assert [one["response"]["body"] for one in exchanges] == ["stored"] * 3
        assert len({one["conn"] for one in exchanges}) == 1
    true = [(f"127.0.0.1:{line.port}", f"127.0.0.1:{nginx.port}") for line in accesses]
    assert [(one["src"], one["dst"]) for one in http(messages, "server")] == true
    for exchange in http(messages, "client"):
        assert (exchange["src"], exchange["dst"]) == true[0]
    assert messages[-1]["lost"] == {}


def test_server(tls: Tls, programs: Programs, capture: Callable[..., Capture], node_folder: Path) -> None:
    """What curl posts to Node is seen at Node, with the hash that Node answers."""
    port = free_port()
    words = [*debian_node.command(node_folder), SOURCES / "https_server.js", str(port), tls.cert, tls.key]
    server = programs.start(*words, env=debian_node.environment(node_folder, tls.libssl))
    wait_for_port(port)
    run = capture()
    body = "from curl to Node\n" * 1009
    command = ("curl", "-sk", "-w", "%{stderr}%{local_port}", "--data-binary", "@-")
    curl = programs.run(*command, f"https://127.0.0.1:{port}/", input=body.encode())
    messages = run.stop()

    (exchange,) = http(messages, pid=server.pid)
    assert exchange["role"] == "server"
    assert exchange["response"]["body"].encode() == curl.stdout
    assert body_hash(exchange["request"]).encode() == curl.stdout
    true = (f"127.0.0.1:{curl.stderr.decode()}", f"127.0.0.1:{port}")
    assert (exchange["src"], exchange["dst"]) == true
    assert messages[-1]["lost"] == {}
