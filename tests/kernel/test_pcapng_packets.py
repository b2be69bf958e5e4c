"""`-m pcap`: tshark decrypts what real programs said, from one file, on loopback and between two hosts."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel import debian_node
from tests.kernel.networks import Network, alone, joined
from tests.kernel.running import PATIENCE, Capture, Programs, Tls
from tests.kernel.servers import Nginx
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

RUNS = 5
MANY = 50

PYTHON = """
import ssl, sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context()).status)
"""
NODE = """
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
require("https").get(process.argv[1], (answer) => { console.log(answer.statusCode); answer.resume(); });
"""
NODE_HTTP2 = """
const { origin, pathname } = new URL(process.argv[1]);
const session = require("http2").connect(origin, { rejectUnauthorized: false });
const stream = session.request({ ":path": pathname });
stream.on("response", (headers) => console.log(headers[":status"]));
stream.on("end", () => session.close());
stream.resume();
"""
AIOQUIC = ("aioquic", "pylsqpack", "cryptography", "cffi", "service-identity", "pyopenssl", "attrs", "pycparser",
           "typing_extensions", "certifi")  # fmt: skip


def clients(tls: Tls) -> dict[str, tuple[list[str], dict[str, str] | None]]:
    """The words that ask for a URL, and their environment, by what is asked how."""
    node = debian_node.unpack()
    javascript = [*debian_node.command(node), "-e"]
    environment = debian_node.environment(node, tls.libssl)
    curl = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}"]
    return {
        "curl": ([*curl, "--http1.1"], None),
        "curl-1.2": ([*curl, "--http1.1", "--tls-max", "1.2"], None),
        "curl-2": ([*curl, "--http2"], None),
        "python": (["/usr/bin/python3", "-c", PYTHON], None),
        "node": ([*javascript, NODE, "--"], environment),
        "node-2": ([*javascript, NODE_HTTP2, "--"], environment),
    }


def ask(programs: Programs, tls: Tls, url: str, runs: int) -> list[str]:
    """Have each client ask for paths of its own, each time on a new connection; the paths."""
    asked = []
    for kind, (words, environment) in clients(tls).items():
        for number in range(runs):
            path = f"/{kind}/{number}"
            answer = programs.run(*words, f"{url}{path}", env=environment or tls.env).stdout
            assert answer.strip() == b"200", (kind, answer)
            asked.append(path)
    return asked


def decrypted(file: Path) -> tuple[list[str], int]:
    """The paths that tshark sees being asked for, sorted, and how many answers with success."""
    names = ("http.request.uri", "http2.headers.path", "http.response.code", "http2.headers.status")
    rows = fields(file, *names, only=" || ".join(names))
    paths = sorted(path for row in rows for cell in row[:2] if cell for path in cell.split(","))
    return paths, sum(cell.split(",").count("200") for row in rows for cell in row[2:])


@pytest.fixture
def pcap(tls: Tls, tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`pcap(file, *flags)` starts a capture of packets and of the private library's secrets, where this thread is."""
    started: list[Capture] = []

    def start(file: Path | str, *flags: str, libssl: Path = tls.libssl) -> Capture:
        words = [
            sys.executable,
            "-m",
            "pellucid",
            "tls",
            "-m",
            "pcap",
            "-w",
            str(file),
            "--libssl",
            str(libssl),
        ]
        run = Capture(
            [*words, *flags, "-o", f"json:{tmp_path}/{len(started)}.ndjson"], tmp_path / f"pcap{len(started)}"
        )
        started.append(run)
        return run.wait_until_ready()

    yield start
    for run in started:
        run.kill()


def end(run: Capture) -> str:
    """End it as a user does; its log."""
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(PATIENCE) == 0, run.log.read_text()
    return run.log.read_text()


@pytest.fixture(params=["loopback", "veth"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Network]]:
    """Where clients and servers are."""
    with ExitStack() as stack:
        if request.param == "loopback":
            network = stack.enter_context(alone())
            yield network, network
        else:
            yield stack.enter_context(joined())


def asked_and_decrypted(
    ends: tuple[Network, Network],
    runs: int,
    tls: Tls,
    programs: Programs,
    pcap: Callable[..., Capture],
    folder: Path,
) -> None:
    """Every request and every answer of every client is there."""
    client, server = ends
    with server.entered():
        nginx = Nginx(programs, tls, folder / "nginx", http2=True, address=server.address)
    with client.entered():
        run = pcap(folder / "a.pcapng", "-i", client.interface)
        asked = ask(programs, tls, nginx.url, runs)
        log = end(run)
    paths, answers = decrypted(folder / "a.pcapng")
    assert paths == sorted(asked), log
    assert answers == len(asked)
    assert "lost: nothing" in log


def test_clients_of_nginx(
    ends: tuple[Network, Network], tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path
) -> None:
    """What curl, Python and Node ask nginx for in HTTP/1.1 and HTTP/2, with TLS 1.2 and 1.3, is decrypted every time."""
    asked_and_decrypted(ends, RUNS, tls, programs, pcap, tmp_path)


@pytest.mark.big
def test_fifty_of_fifty(
    ends: tuple[Network, Network], tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path
) -> None:
    """The same, fifty times each."""
    asked_and_decrypted(ends, MANY, tls, programs, pcap, tmp_path)
