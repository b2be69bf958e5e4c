"""Programs that carry a BoringSSL inside: with local symbols (curl-cffi), and without any (grpcio)."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import packages
from tests.kernel.running import http
from tests.kernel.servers import Nginx
from tests.kernel.streams import body_hash, shown
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

SIZE = 300_007
"""Bytes: many TLS records, and more than fit into one HTTP/2 window."""


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """A file that is not text and cannot be compressed."""
    path = tmp_path / "body"
    path.write_bytes(random.randbytes(SIZE))
    return path


def sha256(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def importing(folder: Path) -> dict[str, str]:
    """The environment of a Python program that takes packages from there."""
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_curl_cffi(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path, body: Path
) -> None:
    """A body posted and one received by curl-cffi are seen whole, on the connection that nginx tells."""
    folder = packages.wheels("curl-cffi", "certifi")
    [library] = folder.glob("curl_cffi/_wrapper*.so")
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    (nginx.files / "file").write_bytes(body.read_bytes()[::-1])
    run = capture(libssl=library)
    words = (body, f"{nginx.url}/upload", f"{nginx.url}/file/file")
    got = programs.run(sys.executable, SOURCES / "curl_cffi_post.py", *words, env=importing(folder)).stdout
    accesses = nginx.stop()
    messages = run.stop()

    posted, received = http(messages)
    assert body_hash(posted["request"]) == sha256(body) == sha256(Path(accesses[0].body_file))
    assert body_hash(received["response"]) == got.decode().strip() == sha256(nginx.files / "file")
    assert {one["role"] for one in (posted, received)} == {"client"}
    assert [one["src"] for one in (posted, received)] == [f"127.0.0.1:{line.port}" for line in accesses]
    assert messages[-1]["lost"] == {}


def test_grpcio(tls: Tls, programs: Programs, capture: Callable[..., Capture], body: Path) -> None:
    """A gRPC message and its answer are seen whole at both ends, in a library without any symbol of BoringSSL."""
    folder = packages.wheels("grpcio", "typing_extensions")
    [library] = folder.glob("grpc/_cython/cygrpc*.so")
    run = capture(libssl=library)
    words = (SOURCES / "grpc_echo.py", tls.cert, tls.key, body)
    sent, answered = programs.run(sys.executable, *words, env=importing(folder)).stdout.decode().split()
    messages = run.stop()

    assert sent == sha256(body)
    for role in ("client", "server"):
        (call,) = http(messages, role)
        assert (call["protocol"], call["request"]["url"]) == ("gRPC", "/echo.Echo/Backwards")
        for half, digest in ((call["request"], sent), (call["response"], answered)):
            message = shown(half, "body")
            assert message[:5] == b"\0" + SIZE.to_bytes(
                4
            )  # not compressed (gRPC over HTTP2, Length-Prefixed-Message)
            assert hashlib.sha256(message[5:]).hexdigest() == digest
        assert call["response"]["grpc_status"] == 0
    assert messages[-1]["lost"] == {}
