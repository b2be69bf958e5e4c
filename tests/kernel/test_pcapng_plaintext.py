"""`-o pcapng:FILE`: what tshark makes of the plaintext of real programs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.servers import Nginx
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_bodies_out_of_wireshark(
    http2: bool, programs: Programs, tls: Tls, tmp_path: Path, capture: Callable[..., Capture]
) -> None:
    """What curl fetched and nginx stored, tshark exports from the streams of both ends, whole, by hash."""
    nginx = Nginx(programs, tls, tmp_path / "nginx", http2=http2)
    fetched, stored = os.urandom(200_000), os.urandom(150_000)
    (nginx.files / "tea").write_bytes(fetched)
    (tmp_path / "cup").write_bytes(stored)
    file = tmp_path / "out.pcapng"
    run = capture("-o", f"pcapng:{file}", "-o", f"json:{tmp_path}/capture0/events.ndjson")
    version = "--http2" if http2 else "--http1.1"
    programs.run("curl", "-sk", version, f"{nginx.url}/file/tea")
    programs.run("curl", "-sk", version, "-T", tmp_path / "cup", f"{nginx.url}/upload")
    nginx.stop()
    run.stop()

    path = "http2.headers.path" if http2 else "http.request.uri"
    asked = fields(file, "tcp.stream", path, only=path)
    assert sorted(where for _, where in asked) == ["/file/tea", "/file/tea", "/upload", "/upload"]
    assert len({stream for stream, _ in asked}) == 4
    found = _data_of_http2(file) if http2 else _exported(file, tmp_path / "exported")
    assert sorted(map(_digest, found)) == sorted(map(_digest, (fetched, stored) * 2))


def _exported(file: Path, folder: Path) -> list[bytes]:
    """The bodies that tshark saves of HTTP/1, without the answer to the upload."""
    words = ["tshark", "-r", file, "-q", "--export-objects", f"http,{folder}"]
    subprocess.run(words, check=True, capture_output=True)
    return [body for one in folder.iterdir() if (body := one.read_bytes()) != b"stored"]


def _data_of_http2(file: Path) -> list[bytes]:
    """The bodies that tshark has put together of DATA frames: those of more than one."""
    name = "http2.body.reassembled.data"
    return [bytes.fromhex(body) for (body,) in fields(file, name, only=name)]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
