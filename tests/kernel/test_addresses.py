"""Where connections go: what is shown against what nginx saw, a hundred connections of each program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.kernel import debian_node
from tests.kernel.running import http
from tests.kernel.servers import Nginx
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

HUNDRED = 100
HOSTS = {"127.0.0.1": "127.0.0.1", "::1": "[::1]"}
"""An address, and how a URL and an output show it."""


def by_curl(host: str, port: int) -> list[str]:
    """One process, which closes each connection because nginx is asked to."""
    return ["curl", "-sk", "-H", "Connection: close", f"https://{HOSTS[host]}:{port}/[0-99]"]


def by_urllib(host: str, port: int) -> list[str]:
    """A blocking socket under the library."""
    return [sys.executable, str(SOURCES / "hundred_urllib.py"), host, str(port)]


def by_asyncio(host: str, port: int) -> list[str]:
    """Memory BIOs, a hundred at once in one thread."""
    return [sys.executable, str(SOURCES / "hundred.py"), host, str(port)]


def by_wrk(host: str, port: int) -> list[str]:
    """Ten connections at a time for a second."""
    script = str(SOURCES / "hundred.lua")
    return ["wrk", "-t1", "-c10", "-d1s", "-s", script, f"https://{HOSTS[host]}:{port}/"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("client", [by_curl, by_urllib, by_asyncio, by_wrk, "node"])
def test_both_ends(
    client: Callable[[str, int], list[str]] | str,
    host: str,
    tls: Tls,
    programs: Programs,
    capture: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """At the client and at nginx, 99 of 100 connections show the client's own port and the role; none a wrong one."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    if client == "node":
        folder = debian_node.unpack()
        words = [*debian_node.command(folder), SOURCES / "hundred.js", host, str(nginx.port)]
        programs.run(*words, env=debian_node.environment(folder, tls.libssl))
    else:
        programs.run(*client(host, nginx.port))
    server = f"{HOSTS[host]}:{nginx.port}"
    true = {line.path: (f"{HOSTS[host]}:{line.port}", server) for line in nginx.stop()}
    messages = run.stop()

    assert len(true) >= HUNDRED
    for role in ("client", "server"):
        shown = {m["request"]["url"]: (m["src"], m["dst"]) for m in http(messages, role) if m["response"]}
        known = {url: ends for url, ends in shown.items() if ends != (None, None)}
        assert {url: ends for url, ends in known.items() if true[url] != ends} == {}
        assert len(known) >= 0.99 * len(true)


def test_a_socket_of_another_process(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """A program whose bytes another process sends has no socket: its addresses are null, not the other's."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    programs.run(sys.executable, SOURCES / "piped.py", str(nginx.port))
    (line,) = nginx.stop()
    messages = run.stop()

    (client,), (server,) = (http(messages, role) for role in ("client", "server"))
    assert (client["request"]["url"], client["src"], client["dst"]) == ("/piped", None, None)
    assert (server["src"], server["dst"]) == (f"127.0.0.1:{line.port}", f"127.0.0.1:{nginx.port}")


_BEHIND_NAT = """
ip link set lo up
ip route add 192.0.2.0/24 dev lo src 127.0.0.1
nft add table ip nat
nft 'add chain ip nat output { type nat hook output priority -100; }'
nft add rule ip nat output ip daddr 192.0.2.9 tcp dport 443 dnat to 127.0.0.1:7712
openssl s_server -www -accept 127.0.0.1:7712 -key "$0" -cert "$1" >/dev/null 2>&1 &
until curl -sk https://127.0.0.1:7712/ready >/dev/null; do sleep 0.1; done
curl -sk -w '%{stderr}%{local_ip}:%{local_port} %{remote_ip}:%{remote_port}' https://192.0.2.9/behind
kill $!
"""


def test_behind_nat(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Where packets are rewritten on their way, a client's addresses are those that its own socket has."""
    run = capture()
    told = programs.run("unshare", "--net", "sh", "-c", _BEHIND_NAT, tls.key, tls.cert).stderr.decode()
    messages = run.stop()

    (client,) = (m for m in http(messages, "client") if m["request"]["url"] == "/behind")
    assert f"{client['src']} {client['dst']}" == told.splitlines()[-1]
    assert client["dst"] == "192.0.2.9:443"
