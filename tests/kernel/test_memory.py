"""`--memory` holds, both processes together, and what it costs is said: nothing is dropped silently."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import subprocess
import sys

import brotli
import zstandard

from tests.kernel.memory import MIB, Watcher
from tests.kernel.running import http
from tests.kernel.streams import body_hash
from tests.kernel.victims import SOURCES

DEFAULT = 120
CODERS = {
    "gzip": gzip.compress,
    "br": lambda text: brotli.compress(text, quality=2, lgwin=24),
    "zstd": zstandard.ZstdCompressor(level=1).compress,
}


class Crowd:
    """The program of tests/victims/crowd.py, with all its connections in the middle of a message."""

    def __init__(self, programs, tls, number, upload, *files):
        words = (sys.executable, SOURCES / "crowd.py", tls.cert, tls.key, number, upload, *files)
        self._process = programs.start(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
        assert self._process.stdout.readline() == b"pending\n"

    def finish(self):
        """Let the last bytes go; what each connection has transferred, by the client's port."""
        out, _ = self._process.communicate(b"\n", timeout=60)
        return {told["port"]: told for told in map(json.loads, out.splitlines())}


def ends(messages, role):
    """The exchanges of one role by the client's port, which the request's path names; those whose request is known."""
    exchanges = [message for message in http(messages, role) if message["request"]]
    return {int(message["request"]["url"][1:]): message for message in exchanges}


def test_a_thousand_compressed_answers(programs, tls, capture, tmp_path):
    """1,000 compressed answers, pending at once at both ends: within the memory, each with its size and hash."""
    text = "".join(random.Random(1).choices("abcdefghijklmnop \n", k=100_000)).encode()
    files = [tmp_path / f"page.{coding}" for coding in CODERS]
    for file, encode in zip(files, CODERS.values(), strict=True):
        file.write_bytes(encode(text))
    run = capture()
    with Watcher(run) as watcher:
        told = Crowd(programs, tls, 1000, 0, *files).finish()
        messages = run.stop()

    assert watcher.peak <= DEFAULT * MIB
    assert len(told) == 1000
    assert messages[-1]["lost"] == {}
    hashes = {file.suffix[1:]: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    cut = 0
    for role in ("client", "server"):
        seen = ends(messages, role)
        assert seen.keys() == told.keys()
        for port, message in seen.items():
            response = message["response"]
            shown = response["body"].encode()
            assert text.startswith(shown)
            assert response.get("sha256", told[port]["received"]) == told[port]["received"]
            assert told[port]["received"] == hashes[dict(response["headers"])["Content-Encoding"]]
            assert message["truncated"] == (len(shown) < len(text)) == ("sha256" in response)
            cut += message["truncated"]
    assert (
        cut
    )  # else there was room for all; whether the last few are whole depends on where the last cut fell


def test_uploads(programs, tls, capture):
    """400 uploads of 1 MiB, pending at once at both ends: within the memory, and each with its size and hash."""
    run = capture()
    with Watcher(run) as watcher:
        told = Crowd(programs, tls, 400, MIB).finish()
        messages = run.stop()

    assert watcher.peak <= DEFAULT * MIB
    assert len(told) == 400
    lost = {message["conn"] for message in messages if message["type"] == "lost"}
    assert sum(messages[-1]["lost"].values()) == sum(
        each["size"] for each in messages if each["type"] == "lost"
    )
    for role in ("client", "server"):
        # On a busy machine the ring may be full: then it is said of which connections, and the others are whole.
        seen = ends(messages, role)
        known = {port for port, message in seen.items() if message["conn"] not in lost}
        assert len(known) + len(lost) >= len(told)
        for port in known:
            request = seen[port]["request"]
            assert request["size"] == MIB
            assert body_hash(request) == told[port]["served"]
            assert seen[port]["truncated"] == ("sha256" in request)
