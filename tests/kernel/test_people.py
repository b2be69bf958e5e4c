"""What a person asks for at a real capture: credentials masked in every output, and a counter that leaves no trace."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pellucid import plugins
from pellucid.log import ERASE
from tests.kernel.running import PATIENCE, wait_for
from tests.kernel.servers import Nginx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

SECRET = "s3cr3tValu3"


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """An nginx of this test's own."""
    return Nginx(programs, tls, tmp_path / "nginx")


REFUSED = {"keylog", "pcapng"}
"""With --redact: they would hold secrets, or bytes as they were (tests/test_cli.py)."""


def test_no_output_has_a_secret(
    nginx: Nginx, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """curl sends a secret in every place that has a name for it; both ends are captured, and no format has it."""
    formats = list(plugins.load(plugins.SINKS).keys() - REFUSED)
    outputs = [word for name in formats for word in ("-o", f"{name}:{tmp_path}/{name}")]
    run = capture("--redact", *outputs)
    auth = ["-H", f"Authorization: Bearer {SECRET}", "-H", f"X-Api-Key: {SECRET}", "-b", f"sid={SECRET}"]
    url = f"{nginx.url}/upload?access_token={SECRET}&page=1"
    bodies = [["-d", f"user=me&password={SECRET}"], ["--json", f'{{"user": "me", "secret": "{SECRET}"}}']]
    for body in bodies:
        programs.run("curl", "-sk", "--http1.1", *auth, *body, url)
    programs.run("curl", "-sk", "--http1.1", "-F", f"token={SECRET}", "-F", "user=me", url)
    nginx.stop()
    run.stop()

    for name in formats:
        written = (tmp_path / name).read_bytes()
        assert written, name
        assert SECRET.encode() not in written, name
        assert b"page=1" in written, name
    text = (tmp_path / "text").read_text()
    assert text.count("> Authorization: Bearer ***\n") == 4
    assert text.count('  {"user": "me", "secret": "***"}\n') == 2


def test_the_counter(nginx: Nginx, programs: Programs, tls: Tls, tmp_path: Path) -> None:
    """With messages in a file, stderr counts exchanges as they come; in the end only lines of the log are there."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    words = ["tls", "--libssl", str(tls.libssl), "-o", f"json:{tmp_path}/events"]
    run = programs.start(sys.executable, "-m", "pellucid", *words, stderr=theirs, env=dict(os.environ))
    os.close(theirs)
    seen = bytearray()

    def shows(text: bytes) -> bool:
        with suppress(BlockingIOError):
            seen.extend(os.read(ours, 1 << 16))
        return text in seen

    wait_for(lambda: shows(b"INFO ready"), "the capture to begin")
    programs.run("curl", "-sk", nginx.url + "/[1-7]")
    wait_for(lambda: shows(b"14 exchanges"), "the counter to show both ends of 7 exchanges")
    run.send_signal(signal.SIGINT)
    wait_for(lambda: shows(b"everything is written"), "the closing line")
    assert run.wait(PATIENCE) == 0
    os.close(ours)

    left = [line.rpartition(ERASE)[2] for line in seen.decode().split("\r\n")]
    assert [line for line in left if line and not re.match(r"\d\d:\d\d:\d\d INFO ", line)] == []
