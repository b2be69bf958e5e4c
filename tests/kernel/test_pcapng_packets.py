"""`-m pcap`: tshark decrypts what real programs said, from one file, on loopback and between two hosts."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from pellucid.pcapng import whole_blocks
from tests.kernel import debian_node
from tests.kernel.networks import alone, joined
from tests.kernel.pcaps import end, often
from tests.kernel.processes import decoder_of
from tests.kernel.running import PATIENCE, Capture, wait_for, wait_for_port
from tests.kernel.servers import Nginx
from tests.kernel.victims import SOURCES
from tests.wireshark import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.networks import Network
    from tests.kernel.running import Programs, Tls

pytestmark = pytest.mark.kernel

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


@pytest.fixture(params=["loopback", "veth"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Network, Network]]:
    """Where clients and servers are."""
    with ExitStack() as stack:
        if request.param == "loopback":
            network = stack.enter_context(alone())
            yield network, network
        else:
            yield stack.enter_context(joined())


@often
def test_clients_of_nginx(
    runs: int,
    ends: tuple[Network, Network],
    tls: Tls,
    programs: Programs,
    pcap: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """What curl, Python and Node ask nginx for in HTTP/1.1 and HTTP/2, with TLS 1.2 and 1.3, is decrypted every time."""
    debian_node.unpack()  # before the network that leads nowhere
    client, server = ends
    with server.entered():
        nginx = Nginx(programs, tls, tmp_path / "nginx", http2=True, address=server.address)
    with client.entered():
        run = pcap(tmp_path / "a.pcapng", "-i", client.interface)
        asked = ask(programs, tls, nginx.url, runs)
        log = end(run)
    paths, answers = decrypted(tmp_path / "a.pcapng")
    assert paths == sorted(asked), log
    assert answers == len(asked)
    assert "lost: nothing" in log


@often
def test_servers_by_python_and_node(
    runs: int, tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path
) -> None:
    """What curl posts to Python's server and to Node's is decrypted, each time."""
    node = debian_node.unpack()
    python_port, node_port = 4433, 4434
    with alone() as network, network.entered():
        python = (
            "/usr/bin/python3",
            SOURCES / "https_server.py",
            "threads",
            str(python_port),
            tls.cert,
            tls.key,
        )
        programs.start(*python)
        script = (SOURCES / "https_server.js", str(node_port), tls.cert, tls.key)
        programs.start(*debian_node.command(node), *script, env=debian_node.environment(node, tls.libssl))
        for port in (python_port, node_port):
            wait_for_port(port)
        run = pcap(tmp_path / "a.pcapng", "-i", "lo")
        for port in (python_port, node_port):
            for number in range(runs):
                programs.run("curl", "-sk", "-d", "tea", f"https://127.0.0.1:{port}/{port}/{number}")
        log = end(run)
    paths, answers = decrypted(tmp_path / "a.pcapng")
    asked = [f"/{port}/{number}" for port in (python_port, node_port) for number in range(runs)]
    assert paths == sorted(asked), log
    assert answers == len(asked)


def test_live(tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path) -> None:
    """`-w - | tshark -r -` shows a decrypted request while the capture runs, and ends with it; on the terminal that both
    write to no line of progress is between tshark's.
    """
    ours, terminal = pty.openpty()
    with alone() as network, network.entered():
        nginx = Nginx(programs, tls, tmp_path / "nginx")
        words = [
            sys.executable,
            "-m",
            "pellucid",
            "tls",
            "-m",
            "pcap",
            "-w",
            "-",
            "-i",
            "lo",
            "--libssl",
            str(tls.libssl),
        ]
        ready, shown = tmp_path / "ready", tmp_path / "shown"
        with shown.open("wb") as output:
            run = subprocess.Popen([*words, "--ready-file", ready], stdout=subprocess.PIPE, stderr=terminal)
            reader = [
                "tshark",
                "-l",
                "-r",
                "-",
                "-Y",
                "http.request",
                "-T",
                "fields",
                "-e",
                "http.request.uri",
            ]
            tshark = subprocess.Popen(reader, stdin=run.stdout, stdout=output, stderr=subprocess.DEVNULL)
        assert run.stdout is not None
        run.stdout.close()
        try:
            wait_for(lambda: ready.exists() or run.poll() is not None, "the capture to begin")
            programs.run("curl", "-sk", f"{nginx.url}/tea")
            wait_for(lambda: shown.read_text() == "/tea\n", "tshark to show the request")
            run.send_signal(signal.SIGINT)
            assert run.wait(PATIENCE) == 0
            assert tshark.wait(PATIENCE) == 0
        finally:
            for process in (run, tshark):
                process.kill()
                process.wait()
            os.close(terminal)
            said = os.read(ours, 1 << 16).decode()
            os.close(ours)
    assert "ready: watching 1 target" in said
    assert "recorded" not in said


def test_after_kill(tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path) -> None:
    """After `kill -9` of both processes the file has what came until then, decrypted."""
    file = tmp_path / "a.pcapng"
    with alone() as network, network.entered():
        nginx = Nginx(programs, tls, tmp_path / "nginx")
        run = pcap(file, "-i", "lo")
        programs.run("curl", "-sk", f"{nginx.url}/tea")
        wait_for(lambda: decrypted(file) == (["/tea"], 1), "the exchange to be in the file")
        for pid in (decoder_of(run.process.pid), run.process.pid):
            os.kill(pid, signal.SIGKILL)
        run.process.wait(PATIENCE)
    data = file.read_bytes()
    assert whole_blocks(data) == len(data)
    assert decrypted(file) == (["/tea"], 1)


def test_a_full_disk(tls: Tls, programs: Programs, pcap: Callable[..., Capture], tmp_path: Path) -> None:
    """The capture ends with one line and status 1, and the file with its last whole block."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=True)
    try:
        with alone() as network, network.entered():
            nginx = Nginx(programs, tls, tmp_path / "nginx")
            (nginx.files / "long").write_bytes(bytes(1 << 20))
            run = pcap(disk / "a.pcapng", "-i", "lo")
            programs.run("curl", "-sk", "-o", "/dev/null", f"{nginx.url}/file/long")
            assert run.process.wait(PATIENCE) == 1
        assert f"pellucid: cannot write to {disk}/a.pcapng: No space left on device" in run.log.read_text()
        data = (disk / "a.pcapng").read_bytes()
        assert whole_blocks(data) == len(data) > 200_000
        assert decrypted(disk / "a.pcapng")[0] == ["/file/long"]
    finally:
        subprocess.run(["umount", disk], check=True)
