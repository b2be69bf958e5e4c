"""HTTP/2 between real programs: curl, h2load, nghttp and Node as clients, nginx and Node as servers, both ends watched."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.kernel import debian_node
from tests.kernel.running import free_port, http, wait_for, wait_for_port
from tests.kernel.servers import HELLO, Access, Nginx
from tests.kernel.streams import body_hash
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

SIZES = (0, 1, 100, 16_384, 16_385, 70_001, 300_007)
"""Bytes of what is served: less than a frame, frames that are full, more than a window."""

Seen = list[dict[str, Any]]


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """An nginx that speaks HTTP/2, with files of random bytes."""
    made = Nginx(programs, tls, tmp_path / "nginx", http2=True)
    for number, size in enumerate(SIZES, 1):
        (made.files / str(number)).write_bytes(random.randbytes(size))
    return made


@pytest.fixture(scope="session")
def node_folder() -> Path:
    """Debian's Node, unpacked."""
    return debian_node.unpack()


def served(nginx: Nginx) -> dict[str, str]:
    """The SHA-256 of each file by its URL."""
    return {
        f"/file/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in nginx.files.iterdir()
    }


def told(accesses: list[Access]) -> list[tuple[object, ...]]:
    """Who asked which worker for what, as nginx says, in an order of its own."""
    return sorted((line.pid, f"127.0.0.1:{line.port}", line.method, line.path) for line in accesses)


def asked(messages: Seen) -> list[tuple[object, ...]]:
    """The same of what was captured at the workers."""
    return sorted(
        (one["pid"], one["src"], one["request"]["method"], one["request"]["url"])
        for one in http(messages, "server")
    )


def hashes(exchanges: Seen) -> dict[str, str]:
    """The SHA-256 of each response's body by its URL; fails where two have one URL."""
    found = {one["request"]["url"]: body_hash(one["response"]) for one in exchanges}
    assert len(found) == len(exchanges)
    return found


def test_curl_in_parallel(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Files that curl gets at the same time on one connection hash at both ends to what nginx has served."""
    run = capture("--max-body", "1000")
    urls = [
        word
        for number in range(1, len(SIZES) + 1)
        for word in (f"{nginx.url}/file/{number}", "-o", "/dev/null")
    ]
    programs.run("curl", "-sk", "--http2", "-Z", *urls)
    truth = served(nginx)
    accesses = nginx.stop()
    messages = run.stop()

    assert asked(messages) == told(accesses)
    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert hashes(exchanges) == truth
        assert {one["protocol"] for one in exchanges} == {"HTTP/2"}
        assert len({one["conn"] for one in exchanges}) == len({line.port for line in accesses})
        assert {one["response"]["size"] for one in exchanges} == set(SIZES)
        assert all("partial" not in half for one in exchanges for half in (one["request"], one["response"]))
    assert messages[-1]["lost"] == {}


def test_upload(nginx: Nginx, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """A body that curl posts hashes at both ends to what nginx has stored."""
    body = tmp_path / "body"
    body.write_bytes(random.randbytes(300_007))
    run = capture("--max-body", "1000")
    programs.run("curl", "-sk", "--http2", "--data-binary", f"@{body}", f"{nginx.url}/upload")
    (access,) = nginx.stop()
    messages = run.stop()

    stored = hashlib.sha256(Path(access.body_file).read_bytes()).hexdigest()
    for role in ("client", "server"):
        (exchange,) = http(messages, role)
        assert (exchange["request"]["size"], body_hash(exchange["request"])) == (300_007, stored)
        assert (exchange["response"]["status"], exchange["response"]["body"]) == (201, "stored")


def test_h2load(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Each of h2load's 1,009 requests, fifty at once on each connection, is seen at both ends, on the right connection."""
    run = capture()
    report = programs.run("h2load", "-n", "1009", "-c", "3", "-m", "50", f"{nginx.url}/load").stdout.decode()
    accesses = nginx.stop()
    messages = run.stop()

    assert re.search(r"1009 succeeded", report)
    assert asked(messages) == told(accesses)
    at_client, at_server = http(messages, "client"), http(messages, "server")
    ports = {line.port: f"127.0.0.1:{line.port}" for line in accesses}.values()
    for end in (at_client, at_server):
        assert len(end) == 1009
        assert {one["src"] for one in end} == set(ports)
        assert len({(one["conn"], one["stream"]) for one in end}) == 1009
    assert {one["response"]["body"] for one in at_client + at_server} == {HELLO}
    assert messages[-1]["lost"] == {}


def test_node_serves_nghttp(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], node_folder: Path
) -> None:
    """Trailers, a pushed exchange and a reset one are seen at both ends as Node and nghttp made them."""
    port = free_port()
    words = [*debian_node.command(node_folder), SOURCES / "http2_server.js", str(port), tls.cert, tls.key]
    programs.start(*words, env=debian_node.environment(node_folder, tls.libssl))
    wait_for_port(port)
    run = capture()
    url = f"https://127.0.0.1:{port}"
    programs.run("nghttp", "-n", f"{url}/page", f"{url}/reset", check=False)
    programs.run("curl", "-sk", "--http2", "--data", "a body", f"{url}/post")
    messages = run.stop()

    digest = hashlib.sha256(b"a body").hexdigest()
    for role in ("client", "server"):
        ends = {one["request"]["url"]: one for one in http(messages, role)}
        assert set(ends) == {"/page", "/style", "/reset", "/post"}
        assert {url: one.get("pushed") for url, one in ends.items() if one.get("pushed")} == {"/style": True}
        assert ends["/style"]["response"]["body"] == "the style"
        post = ends["/post"]["response"]
        assert dict(post["headers"])["x-digest"] == dict(post["trailers"])["x-trailer"] == digest
        assert post["body"] == "a body"
        assert "reset the stream (INTERNAL_ERROR)" in ends["/reset"]["error"]
        assert ends["/reset"]["response"]["body"] == "half of it"
        assert [one["error"] for one in ends.values() if one["error"]] == [ends["/reset"]["error"]]


class NodeClient:
    """Node with one open connection, that asks when it is told to."""

    def __init__(self, programs: Programs, tls: Tls, folder: Path, url: str) -> None:
        self._process = programs.start(
            *debian_node.command(folder), SOURCES / "http2_client.js", url, tls.cert,
            env=debian_node.environment(folder, tls.libssl), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.__exit__(None, None, None)

    def ask(self, number: int, path: str) -> dict[str, str]:
        """Make `number` requests at once; return the SHA-256 of each answer by its path."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{number} {path}\n".encode())
        self._process.stdin.flush()
        answers = {}
        while line := self._process.stdout.readline().decode().strip():
            asked_for, digest = line.split()
            answers[asked_for] = digest
        return answers


def test_a_connection_that_is_older_than_the_capture(
    tls: Tls, nginx: Nginx, programs: Programs, capture: Callable[..., Capture], node_folder: Path
) -> None:
    """Requests on it are seen at both ends with their bodies; fields sent before are missing, and that is said."""
    with NodeClient(programs, tls, node_folder, nginx.url.replace("127.0.0.1", "localhost")) as client:
        client.ask(3, "/before")
        run = capture("--max-body", "1000")
        answers = client.ask(len(SIZES), "/file") | client.ask(2, "/after")
    wait_for(lambda: len(run.messages("http")) == 2 * len(answers), "the exchanges")
    messages = run.stop()

    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert hashes(exchanges) == answers
        for one in exchanges:
            sent = {"x-asked": one["request"]["url"], "cookie": "always=the-same"}
            headers = dict(one["request"]["headers"])
            assert headers == {name: value for name, value in sent.items() if name in headers}
            assert headers == sent or one["request"]["partial"]
            assert one["response"]["status"] == 200
    assert {event["started"] for event in messages if event["type"] == "connection"} == {"mid"}
