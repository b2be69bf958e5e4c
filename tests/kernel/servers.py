"""Servers that tests talk to, each of them its own witness: nginx by its access log, openssl by its output."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kernel import debian_node, packages
from tests.kernel.running import PATIENCE, free_port, wait_for, wait_for_port
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    import subprocess

    from tests.kernel.running import Programs, Tls

HELLO = "hello from nginx\n"
WORKERS = 2

_CONFIGURATION = """
daemon off;
worker_processes {workers};
user root;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format told '$pid $remote_port $connection_requests $request_method $uri $request_body_file '
        '$request_length $bytes_sent';
    access_log {folder}/access.log told;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    client_max_body_size 64m;
    server {{
        listen {address}:{port} ssl{http2};
        listen [::1]:{port} ssl{http2};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{ return 200 "{hello}"; }}
        location /file/ {{ alias {folder}/files/; }}
        location /upload {{
            client_body_in_file_only on;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://unix:{folder}/backend;
        }}
    }}
    server {{
        listen unix:{folder}/backend;
        access_log off;
        location / {{ return 201 "stored"; }}
    }}
}}
"""


class Access(NamedTuple):
    """One line of nginx's access log."""

    pid: int
    """The worker's."""
    port: int
    """The client's."""
    number: int
    """Of the request on its connection, from 1."""
    method: str
    path: str
    body_file: str
    """Where nginx has stored the request's body; `-` where it has not."""
    received: int
    """Bytes of the request, its head among them."""
    sent: int
    """Bytes of the response, its head among them."""


class Nginx:
    """An nginx with two workers and its own folder; it stores what is sent to /upload."""

    def __init__(
        self, programs: Programs, tls: Tls, folder: Path, *, http2: bool = False, address: str = "127.0.0.1"
    ) -> None:
        self._log = folder / "access.log"
        self.files = folder / "files"
        """What is served under /file/."""
        self.files.mkdir(parents=True)
        self.port = free_port()
        self.url = f"https://{address}:{self.port}"
        settings = _CONFIGURATION.format(
            workers=WORKERS,
            folder=folder,
            address=address,
            port=self.port,
            cert=tls.cert,
            key=tls.key,
            hello=HELLO.replace("\n", "\\n"),
            http2=" http2" if http2 else "",
        )
        (folder / "nginx.conf").write_text(settings)
        self._process = programs.start("nginx", "-p", folder, "-c", folder / "nginx.conf")
        wait_for_port(self.port, "::1")

    def pids(self) -> list[int]:
        """Its processes: the one that was started, then the workers."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        wait_for(lambda: len(children.read_text().split()) == WORKERS, "the workers")
        return [pid, *map(int, children.read_text().split())]

    def logged(self) -> int:
        """Bytes of its access log so far."""
        return self._log.stat().st_size

    def stop(self) -> list[Access]:
        """End it gracefully, so that every request is in its log; return that, in the order of their ends."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)
        rows = [line.split() for line in self._log.read_text().splitlines()]
        return [
            Access(int(pid), int(port), int(number), method, path, body_file, int(received), int(sent))
            for pid, port, number, method, path, body_file, received, sent in rows
        ]


def s_server(
    programs: Programs, tls: Tls, *flags: str, **options: object
) -> tuple[subprocess.Popen[bytes], int]:
    """`openssl s_server` with these flags, and its port."""
    port = free_port()
    words = (
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-key",
        tls.key,
        "-cert",
        tls.cert,
        *flags,
    )
    process = programs.start(*words, **options)
    wait_for_port(port)
    return process, port


def websocket_server(programs: Programs, tls: Tls, deflate: str) -> int:
    """Node with ws, which answers each message with its SHA-256; its port. `deflate` is as its script has it."""
    node, port = debian_node.unpack(), free_port()
    script = (SOURCES / "websocket_server.js", packages.npm("ws@8.18.3"))
    words = [*debian_node.command(node), *script, str(port), tls.cert, tls.key, deflate]
    programs.start(*words, env=debian_node.environment(node, tls.libssl))
    wait_for_port(port)
    return port
