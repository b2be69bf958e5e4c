"""Without what newer kernels have, the same is captured by other means."""

from __future__ import annotations

import pytest

from tests.kernel.running import free_port, http, wait_for_port

NO_MULTI = "import pellucid.attach.loaded as loaded; loaded.has_uprobe_multi = lambda: False"
NO_SOCKET_TRACEPOINTS = "import pellucid.attach.loader as loader; loader.SOCKET_TRACEPOINTS = (('socket_sent', 'no_such_tracepoint'),)"
NO_NEWER_HELPERS = """
from pellucid.attach import loaded
set_constants = loaded.set_constants
def without(bpf, types, constants):
    set_constants(bpf, types, {**constants, "newer_helpers": 0})
loaded.set_constants = without
"""

NO_SENDER = "from pellucid.libbpf import trial; trial.has_helper = lambda *_: False"


@pytest.fixture
def exchange(tls, programs):
    """One exchange of Python's client with s_server; returns the addresses as the client knows them."""
    port = free_port()
    programs.start("openssl", "s_server", "-accept", port, "-key", tls.key, "-cert", tls.cert, "-www")
    wait_for_port(port)
    client = (
        "import socket, ssl; context = ssl._create_unverified_context();"
        f"plain = socket.create_connection(('127.0.0.1', {port}));"
        "tls = context.wrap_socket(plain); tls.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n');"
        "print(tls.getsockname()[1])\n"
        "while tls.recv(4096): pass"
    )

    def run():
        source = programs.run("/usr/bin/python3", "-c", client).stdout.decode().strip()
        return f"127.0.0.1:{source}", f"127.0.0.1:{port}"

    return run


@pytest.mark.parametrize("patch", ["", NO_MULTI, NO_SOCKET_TRACEPOINTS, NO_NEWER_HELPERS, NO_SENDER])
def test_the_same_is_captured(patch, exchange, capture):
    """One link a probe, and addresses by SSL_set_fd, give the same exchange with the same addresses."""
    run = capture(patch=patch)
    addresses = exchange()
    messages = run.stop()
    (client,) = http(messages, "client")

    assert (client["src"], client["dst"]) == addresses
    assert client["response"]["status"] == 200
    assert messages[-1]["lost"] == {}


def test_public_functions_alone(exchange, capture):
    """With `--sites entry` the client is still seen, though s_server, which calls none of them, is not."""
    run = capture("--sites", "entry")
    exchange()
    messages = run.stop()

    assert len(http(messages, "client")) == 1
    assert http(messages, "server") == []
