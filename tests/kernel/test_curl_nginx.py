"""curl and the load generators against nginx: both ends of each connection, and nginx's own log as witness."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.running import http
from tests.kernel.servers import HELLO, Access, Nginx
from tests.kernel.streams import body_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

BODY = bytes(range(256)) * 1025
"""Not text, and longer than a TLS record, a socket buffer and nginx's own buffers."""


@pytest.fixture
def nginx(programs: Programs, tls: Tls, tmp_path: Path) -> Nginx:
    """An nginx of this test's own."""
    return Nginx(programs, tls, tmp_path / "nginx")


def told(accesses: list[Access]) -> list[tuple[object, ...]]:
    """Who asked which worker for what, as nginx says, in an order of its own."""
    return sorted((line.pid, f"127.0.0.1:{line.port}", line.method, line.path) for line in accesses)


def seen(messages: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The same of what was captured at the workers."""
    return sorted(
        (one["pid"], one["src"], one["request"]["method"], one["request"]["url"])
        for one in http(messages, "server")
    )


def test_get(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """A GET is seen at curl and at the nginx worker that served it, with what curl printed."""
    run = capture()
    output = programs.run("curl", "-sk", f"{nginx.url}/hello").stdout.decode()
    accesses = nginx.stop()
    messages = run.stop()

    assert output == HELLO
    assert seen(messages) == told(accesses)
    (at_client,), (at_server,) = http(messages, "client"), http(messages, "server")
    for end in (at_client, at_server):
        assert end["response"]["body"] == output
        assert (end["src"], end["dst"]) == (at_server["src"], f"127.0.0.1:{nginx.port}")
    assert messages[-1]["lost"] == {}


def test_keep_alive(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Seven requests of one curl on one connection are seven exchanges of one connection, in order."""
    paths = [f"/{number}" for number in range(7)]
    run = capture()
    programs.run("curl", "-sk", "--http1.1", *[nginx.url + path for path in paths])
    accesses = nginx.stop()
    messages = run.stop()

    assert [line.number for line in accesses] == [1, 2, 3, 4, 5, 6, 7]
    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert [one["request"]["url"] for one in exchanges] == paths
        assert len({one["conn"] for one in exchanges}) == 1
    assert seen(messages) == told(accesses)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload(
    nginx: Nginx, programs: Programs, capture: Callable[..., Capture], tmp_path: Path, framing: str
) -> None:
    """A body that curl sends, with its length or chunked, hashes at both ends to what nginx stored."""
    (tmp_path / "body").write_bytes(BODY)
    headers = ["-H", "Expect:"] + (["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else [])
    run = capture("--max-body", "1000")
    programs.run("curl", "-sk", *headers, "--data-binary", f"@{tmp_path}/body", f"{nginx.url}/upload")
    messages = run.stop()

    (access,) = nginx.stop()
    truth = hashlib.sha256(Path(access.body_file).read_bytes()).hexdigest()
    assert truth == hashlib.sha256(BODY).hexdigest()
    for role in ("client", "server"):
        (exchange,) = http(messages, role)
        request = exchange["request"]
        assert (request["method"], request["size"], body_hash(request)) == ("POST", len(BODY), truth)
        assert ("transfer-encoding" in {name.lower() for name, _ in request["headers"]}) == (
            framing == "chunked"
        )
        assert (exchange["response"]["status"], exchange["response"]["body"]) == (201, "stored")


def test_download(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """A file that nginx serves hashes at both ends to the file."""
    (nginx.files / "body").write_bytes(BODY)
    run = capture("--max-body", "1000")
    output = programs.run("curl", "-sk", f"{nginx.url}/file/body").stdout
    messages = run.stop()

    assert output == BODY
    for role in ("client", "server"):
        (exchange,) = http(messages, role)
        response = exchange["response"]
        assert (response["size"], body_hash(response)) == (len(BODY), hashlib.sha256(BODY).hexdigest())


@pytest.mark.parametrize("keep_alive", [[], ["-k"]], ids=["close", "keep-alive"])
def test_apache_bench(
    nginx: Nginx, programs: Programs, capture: Callable[..., Capture], keep_alive: list[str]
) -> None:
    """Each of ab's 199 requests is seen at ab and at nginx, on the connections that nginx's log names."""
    run = capture()
    command = ("ab", "-q", "-n", "199", "-c", "4", *keep_alive, f"{nginx.url}/ab")
    report = programs.run(*command).stdout.decode()
    accesses = nginx.stop()
    messages = run.stop()

    assert re.search(r"Complete requests: +199\n", report)
    assert len(accesses) == 199
    assert seen(messages) == told(accesses)
    at_client, at_server = http(messages, "client"), http(messages, "server")
    assert sorted(one["src"] for one in at_client) == sorted(one["src"] for one in at_server)
    assert {one["response"]["body"] for one in at_client + at_server} == {HELLO}
    assert messages[-1]["lost"] == {}


def test_wrk(nginx: Nginx, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Every request of wrk that nginx's log counts is seen at the worker that served it, none more or less."""
    run = capture()
    report = programs.run("wrk", "-t", "1", "-c", "5", "-d", "1s", f"{nginx.url}/wrk").stdout.decode()
    accesses = nginx.stop()
    messages = run.stop()

    counted = re.search(r"(\d+) requests in", report)
    assert counted
    assert len(accesses) >= int(counted[1]) > 100
    assert seen(messages) == told(accesses)
    assert len(http(messages, "client")) >= int(counted[1])
    assert messages[-1]["lost"] == {}


def test_times(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """A client's exchange begins no later than its server's, and lasts no shorter."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    programs.run("curl", "-sk", f"{nginx.url}/[1-50]")
    nginx.stop()
    messages = run.stop()

    client, server = ({m["request"]["url"]: m for m in http(messages, role)} for role in ("client", "server"))
    assert len(client) == len(server) == 50
    assert [url for url in client if client[url]["ts"] > server[url]["ts"]] == []
    assert [url for url in client if client[url]["duration_ms"] < server[url]["duration_ms"]] == []
