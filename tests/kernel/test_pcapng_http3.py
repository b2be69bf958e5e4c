"""`-m pcap` and QUIC: tshark decrypts HTTP/3, by the secrets of either end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import packages
from tests.kernel.networks import alone
from tests.kernel.pcaps import end, often
from tests.kernel.running import wait_for
from tests.kernel.victims import SOURCES
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.running import Capture, Programs, Tls

pytestmark = pytest.mark.kernel

PORT = 4433
AIOQUIC = ("aioquic", "pylsqpack", "cryptography", "cffi", "service-identity", "pyopenssl", "attrs", "pycparser",
           "typing_extensions", "certifi")  # fmt: skip
NGINX = ("nginx", "libssl3t64", "libc6", "zlib1g", "libpcre2-8-0", "libcrypt1", "libzstd1")
"""Debian 13's, which knows HTTP/3, and what it needs."""

CONFIGURATION = """
daemon off;
worker_processes 1;
user root;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} quic;
        ssl_certificate {tls.cert};
        ssl_certificate_key {tls.key};
        location / {{ return 200 "$uri"; }}
    }}
}}
"""


def nginx(programs: Programs, tls: Tls, folder: Path) -> Path:
    """Start Debian 13's nginx; its libssl."""
    root = packages.debian_suite("trixie", *NGINX)
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=PORT, tls=tls))
    loader = (*libraries.glob("ld-linux-*"), "--library-path", libraries)
    programs.start(*loader, root / "usr/sbin/nginx", "-c", configuration, env=os.environ)
    return libraries / "libssl.so.3"


def aioquic(programs: Programs, tls: Tls, _: Path) -> Path:
    """Start a server whose TLS is Python of its own; the library of the client is all that there is to watch."""
    words = (sys.executable, SOURCES / "http3_server.py", "127.0.0.1", str(PORT), tls.cert, tls.key)
    programs.start(*words, env={**os.environ, "PYTHONPATH": str(packages.wheels(*AIOQUIC))})
    (library,) = (client() / "curl_cffi").glob("_wrapper*.so")
    return Path(library)


def client() -> Path:
    """The folder that has curl with HTTP/3 and BoringSSL."""
    return packages.wheels("curl-cffi", "certifi")


@often
@pytest.mark.parametrize("serve", [aioquic, nginx])
def test_http3(
    serve: Callable[[Programs, Tls, Path], Path],
    runs: int,
    tls: Tls,
    programs: Programs,
    pcap: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """Each answer is decrypted: by the secrets of curl's BoringSSL, or of nginx's OpenSSL, the other end being of another make."""
    _fetch()
    with alone() as network, network.entered():
        library = serve(programs, tls, tmp_path)
        wait_for(lambda: f":{PORT:04X} " in _udp_sockets(), "the server to listen")
        run = pcap(tmp_path / "a.pcapng", "-i", "lo", libssl=library)
        for number in range(runs):
            words = (sys.executable, SOURCES / "http3_client.py", f"https://127.0.0.1:{PORT}/tea/{number}")
            answer = programs.run(*words, env={**os.environ, "PYTHONPATH": str(client())}).stdout
            assert answer == b"200 /tea/%d\n" % number
        log = end(run)
    found = fields(tmp_path / "a.pcapng", "http3.frame_payload", only="http3.frame_payload")
    payloads = {payload for (cell,) in found for payload in cell.split(",")}
    assert {f"/tea/{number}".encode().hex() for number in range(runs)} <= payloads, log


def _fetch() -> None:
    """All that is not installed, before the network that leads nowhere."""
    client()
    packages.wheels(*AIOQUIC)
    packages.debian_suite("trixie", *NGINX)


def _udp_sockets() -> str:
    """Those of this thread's network, as the kernel lists them; ports are in hex."""
    return Path("/proc/thread-self/net/udp").read_text()
