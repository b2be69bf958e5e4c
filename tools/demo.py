"""`make demo`: an HTTPS server and curl, seen in plain text by Pellucid, which knows neither.

Server and client are Debian's own programs. They run with a private copy of libssl, so that the demo
shows its own traffic and nobody else's.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ORDER = '{"order": 42, "item": "tea", "paid": true}'
RESPONSE = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ORDER)}\r\n\r\n{ORDER}"
PATIENCE = 15


def main() -> int:
    """Run the demo; its exit status is Pellucid's."""
    if os.geteuid() != 0:
        sys.exit("The demo loads eBPF programs, which needs root: sudo make demo")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pellucid-demo-")))
        libssl = private_libssl(folder)
        env = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
        port = free_port()
        server = stack.enter_context(start_server(folder, port, env))
        stack.callback(server.terminate)
        capture = stack.enter_context(start_capture(folder, libssl))
        stack.callback(capture.terminate)
        await_file(folder / "ready", capture)
        url = f"https://localhost:{port}/orders/42"
        say(f'$ curl -k -H "Authorization: Bearer s3cr3t" {url}     # in another terminal, with TLS as ever')
        curl = ["curl", "-sk", "--retry", "20", "--retry-connrefused", "--retry-delay", "0",
                "-H", "Authorization: Bearer s3cr3t", url]  # fmt: skip
        answer = subprocess.run(curl, env=env, check=True, capture_output=True, text=True).stdout
        say(f"{answer}\n\n# and this is what Pellucid saw, at curl's end and at the server's:\n")
        return capture.wait(PATIENCE)


def say(text: str) -> None:
    """Show a line of the demo itself."""
    print(text, flush=True)


def private_libssl(folder: Path) -> Path:
    """A copy of the system's libssl in `folder`."""
    listing = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    paths = [line.split()[-1] for line in listing.splitlines() if line.strip().startswith("libssl.so")]
    if not paths:
        sys.exit("The demo needs OpenSSL's shared library: apt-get install openssl curl")
    return Path(shutil.copy(paths[0], folder))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(folder: Path, port: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """`openssl s_server` with one order to give away."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-days", "1", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "orders").mkdir()
    (folder / "orders" / "42").write_text(RESPONSE, newline="")
    command = ["openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-HTTP", "-quiet"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, env=env, **quiet)


def start_capture(folder: Path, libssl: Path) -> subprocess.Popen[bytes]:
    """Pellucid, until it has seen the exchange at both ends."""
    say(f"$ pellucid tls --libssl {libssl} --count 2")
    flags = ["--count", "2", "--duration", str(PATIENCE), "--ready-file", str(folder / "ready")]
    return subprocess.Popen([sys.executable, "-m", "pellucid", "tls", "--libssl", str(libssl), *flags])


def await_file(path: Path, writer: subprocess.Popen[bytes]) -> None:
    """Until the file is there; end with the writer's status if it gives up."""
    while not path.exists():
        if writer.poll() is not None:
            sys.exit(writer.returncode)
        select.select([], [], [], 0.01)


if __name__ == "__main__":
    sys.exit(main())
