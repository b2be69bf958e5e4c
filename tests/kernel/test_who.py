"""Who made a connection, and what its library says of the session."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.cgroups import root
from tests.kernel.running import http
from tests.kernel.servers import Nginx
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

CONTAINER = "0123456789abcdef" * 4


@pytest.fixture
def container() -> Iterator[Path]:
    """The directory of a cgroup that is called as Docker calls a container's."""
    top = root()
    assert top, "this test needs cgroup v2: mount -t cgroup2 none DIRECTORY"
    above = top / f"pellucid-test-{os.getpid()}.slice"
    made = above / f"docker-{CONTAINER}.scope"
    made.mkdir(parents=True)
    yield made
    made.rmdir()
    above.rmdir()


def test_program(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], container: Path, tmp_path: Path
) -> None:
    """A process that is gone at once is named by executable, container, user and start all the same."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    before = datetime.now(UTC)
    script = f'echo $$ > {container}/cgroup.procs; exec curl -sk "$0"'
    programs.run("sh", "-c", script, nginx.url)
    after = datetime.now(UTC)
    messages = run.stop()

    (exchange,) = http(messages, "client")
    opened = next(m for m in messages if m["type"] == "connection" and m["comm"] == "curl")
    assert exchange["executable"] == os.path.realpath(shutil.which("curl"))
    assert exchange["container"] == CONTAINER
    assert (exchange["uid"], exchange["comm"]) == (os.getuid(), "curl")
    start = datetime.fromisoformat(opened["process_start"])
    assert before - timedelta(milliseconds=20) < start < after  # the kernel keeps it in ticks
    (served,) = http(messages, "server")
    assert served["executable"] == os.path.realpath(shutil.which("nginx"))
    assert served["container"] is None


SUITES = {
    ("TLSv1_2", "ECDHE-RSA-AES128-GCM-SHA256"): ("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("TLSv1_2", "ECDHE-RSA-CHACHA20-POLY1305"): ("TLSv1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("TLSv1_3", "ALL"): ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
}
"""What a program asks for, and what RFC 5289, 7905 and 8446 call it."""


@pytest.mark.parametrize("asked", SUITES)
def test_session(
    asked: tuple[str, str], tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """Version, suite, server name and ALPN protocol are what the program asked for, at both ends."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    client = programs.run(sys.executable, SOURCES / "session.py", str(nginx.port), tls.cert, *asked)
    messages = run.stop()

    version, suite = SUITES[asked]
    assert client.stdout.decode().split() == [version, "http/1.1"]
    opened = {m["role"]: m for m in messages if m["type"] == "connection" and m["event"] == "opened"}
    assert set(opened) == {"client", "server"}
    for message in opened.values():
        assert (message["tls"], message["cipher"]) == (version, suite)
        assert (message["server_name"], message["alpn"]) == ("localhost", "http/1.1")
