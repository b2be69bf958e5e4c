"""The main job in one test: curl talks to openssl's own web server, and both ends are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel.running import Capture, Programs, Tls, free_port, http, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Callable


def test_both_ends_of_one_exchange(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """curl's request and s_server's answer come out once at each end, with the client's own port."""
    port = free_port()
    server = programs.start(
        "openssl", "s_server", "-accept", str(port), "-key", tls.key, "-cert", tls.cert, "-www"
    )
    wait_for_port(port)
    run = capture()
    curl = programs.run("curl", "-sk", "-w", "%{stderr}%{local_port}", f"https://127.0.0.1:{port}/hello")
    messages = run.stop()

    (at_client,), (at_server,) = http(messages, "client"), http(messages, "server")

    expected = (f"127.0.0.1:{curl.stderr.decode()}", f"127.0.0.1:{port}")
    assert (at_client["src"], at_client["dst"]) == expected
    assert (at_server["src"], at_server["dst"]) == expected
    assert at_server["pid"] == server.pid
    assert at_client["response"]["body"].encode() == curl.stdout
    assert at_server["response"]["body"] == at_client["response"]["body"]
    assert messages[-1]["lost"] == {}
