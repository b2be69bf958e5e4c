"""Long bodies through nginx: hashed over every byte, and shown whole where that is asked for."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest

from tests.kernel.running import http
from tests.kernel.servers import Nginx
from tests.kernel.streams import body_hash

MIB = 1 << 20
UPLOAD, DOWNLOAD = os.urandom(MIB), os.urandom(10 * MIB)


@pytest.mark.parametrize("flags", [(), ("--max-body", str(32 * MIB), "--memory", "900")])
def test_upload_and_download(flags, programs, tls, capture, tmp_path):
    """A POST of 1 MiB and a response of 10 MiB: at both ends their hashes are those of what was sent."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    (nginx.files / "big").write_bytes(DOWNLOAD)
    (tmp_path / "upload").write_bytes(UPLOAD)
    run = capture(*flags)
    programs.run("curl", "-sk", "--http1.1", "--data-binary", f"@{tmp_path}/upload", f"{nginx.url}/upload")
    programs.run("curl", "-sk", "--http1.1", "-o", tmp_path / "got", f"{nginx.url}/file/big")
    stored = Path(nginx.stop()[0].body_file)
    messages = run.stop()

    assert stored.read_bytes() == UPLOAD
    assert (tmp_path / "got").read_bytes() == DOWNLOAD
    for role in ("client", "server"):
        post, get = http(messages, role)
        assert post["request"]["method"] == "POST"
        assert post["request"]["size"] == len(UPLOAD)
        assert body_hash(post["request"]) == hashlib.sha256(UPLOAD).hexdigest()
        assert get["response"]["size"] == len(DOWNLOAD)
        assert body_hash(get["response"]) == hashlib.sha256(DOWNLOAD).hexdigest()
        assert get["truncated"] is not bool(flags)
        shown = base64.b64decode(get["response"]["body"])
        assert shown == (DOWNLOAD if flags else DOWNLOAD[: len(shown)])
    assert messages[-1]["lost"] == {}
