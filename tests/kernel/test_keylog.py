"""The key log of a capture is what the library itself tells its key log callback, or its peer's key log."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import chromium, libraries, packages, victims
from tests.kernel.private import LIBSSL
from tests.kernel.running import wait_for
from tests.kernel.servers import s_server
from tests.kernel.test_quic import WHEEL as QUIC_WHEEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

ROUNDS = 16
"""Of 13 connections each: beyond 200 in all."""


BUILT_IN = (libraries.old_wheel, libraries.new_wheel)
"""Where the function that logs `RSA` has a copy of the rest built in, and is not found: docs/keylog.md."""


def lines(path: Path) -> list[str]:
    """Of a key log, without comments."""
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def truth(path: Path) -> set[str]:
    """What a library has logged; fails where that is not much."""
    found = set(lines(path))
    assert len(found) > 3, f"{path} tells of no handshake"
    return found


def victim(folder: Path, *flags: str) -> Path:
    """victims/keylog, compiled."""
    return victims.build(
        "keylog/keylog", folder, *flags, "-Wno-deprecated-non-prototype", libraries=("-ldl",)
    )


class Keys:
    """A capture of secrets in a file of its own."""

    def __init__(self, capture: Callable[..., Capture], folder: Path, libssl: Path, *flags: str) -> None:
        self.path = folder / "captured.log"
        self._run = capture("-m", "keylog", "-k", str(self.path), *flags, libssl=libssl)

    def stop(self) -> list[str]:
        """End it; the lines of its file, each of which is there once."""
        self._run.stop()
        assert "LOST" not in self._run.log.read_text(), self._run.log.read_text()
        found = lines(self.path)
        assert len(found) == len(set(found))
        return found


def test_200_connections(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """Of 200 connections, new and resumed, retried, early, renewed, refused, in TLS 1.2 and 1.3, none is missing, none
    is wrong, none is there twice; the file is private, and what it held is still there.
    """
    program, log = victim(tmp_path), tmp_path / "truth.log"
    (tmp_path / "captured.log").write_text("# of an earlier run\n")
    keys = Keys(capture, tmp_path, tls.libssl)
    played = programs.run(program, "libcrypto.so.3", LIBSSL, tls.cert, tls.key, log, ROUNDS).stdout.decode()
    captured = keys.stop()

    connections = {kind: int(number) for kind, number in map(str.split, played.splitlines())}
    assert sum(connections.values()) == 13 * ROUNDS
    assert set(captured) == truth(log)
    labels = {line.split()[0] for line in captured}
    assert labels >= {"RSA", "CLIENT_RANDOM", "CLIENT_EARLY_TRAFFIC_SECRET", "EARLY_EXPORTER_SECRET"}
    assert keys.path.stat().st_mode & 0o777 == 0o600
    assert keys.path.read_text().startswith("# of an earlier run\n")


def command(folder: Path, program: Path) -> tuple[list[Path | str], dict[str, str]]:
    """How the victim is run with the libraries of this folder, and its environment."""
    (libssl,), (libcrypto,) = folder.glob("libssl[.-]*"), folder.glob("libcrypto[.-]*")
    loader = folder / "ld-linux-x86-64.so.2"
    if loader.exists():  # they are too new for the C library of this machine
        return [loader, "--library-path", folder, program, libcrypto, libssl], {}
    return [program, libcrypto, libssl], {"LD_LIBRARY_PATH": str(folder)}


@pytest.mark.parametrize(
    "source",
    [
        libraries.bullseye,
        libraries.trixie,
        libraries.sid,
        libraries.old_wheel,
        libraries.new_wheel,
        libraries.android,
    ],
    ids=lambda source: source.__name__,
)
def test_libraries(
    source: Callable[[], Path],
    tls: Tls,
    programs: Programs,
    capture: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """OpenSSL 1.1.1 to the newest and BoringSSL, built by several makers: the set is what the library has logged."""
    folder, log = tmp_path / "libraries", tmp_path / "truth.log"
    shutil.copytree(source(), folder)
    words, env = command(folder, victim(tmp_path))
    keys = Keys(capture, tmp_path, libraries.file_in(folder))
    played = programs.run(*words, tls.cert, tls.key, log, 2, env=os.environ | env).stdout.decode()
    assert len(played.splitlines()) >= 8
    redundant = {line for line in lines(log) if line.startswith("RSA ")} if source in BUILT_IN else set()
    assert set(keys.stop()) == truth(log) - redundant


def test_static_program(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """Node from npm has its OpenSSL inside: the set is what that has logged."""
    node, log = tmp_path / "node", tmp_path / "truth.log"
    shutil.copy(libraries.node() / "node", node)
    preloaded = victim(tmp_path, "-shared", "-fPIC", "-DPRELOADED")
    keys = Keys(capture, tmp_path, node)
    env = os.environ | {"LD_PRELOAD": str(preloaded)}
    programs.run(node, "-", "-", tls.cert, tls.key, log, 2, env=env)
    assert set(keys.stop()) == truth(log)


GRPC = """
import grpc, sys
port, cert = sys.argv[1:]
credentials = grpc.ssl_channel_credentials(open(cert, "rb").read())
with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
    grpc.channel_ready_future(channel).result(2)
"""
CURL = """
import sys
from curl_cffi import requests
print(requests.get(f"https://localhost:{sys.argv[1]}/", verify=sys.argv[2], impersonate="chrome").status_code)
"""


@pytest.mark.parametrize(
    ("wheels", "pattern", "alpn", "script"),
    [
        (("curl-cffi", "certifi"), "curl_cffi/_wrapper*.so", "http/1.1", CURL),
        (("grpcio", "typing_extensions"), "grpc/_cython/cygrpc*.so", "h2", GRPC),
    ],
    ids=["curl-cffi", "grpcio"],
)
def test_stripped_boringssl(
    wheels: tuple[str, ...],
    pattern: str,
    alpn: str,
    script: str,
    tls: Tls,
    programs: Programs,
    capture: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """A client with a BoringSSL inside has just the secrets that its OpenSSL server has logged."""
    folder, log = tmp_path / "wheels", tmp_path / "truth.log"
    shutil.copytree(packages.wheels(*wheels), folder)
    (library,) = folder.glob(pattern)
    once = ("-naccept", "2")  # the other one is that of whoever waits for the port
    _, port = s_server(programs, tls, "-www", *once, "-alpn", alpn, "-keylogfile", log)
    keys = Keys(capture, tmp_path, library)
    words = (sys.executable, "-c", script, str(port), tls.cert)
    subprocess.run(
        [str(word) for word in words], env=os.environ | {"PYTHONPATH": str(folder)}, timeout=60, check=False
    )
    captured = keys.stop()
    assert captured
    assert set(captured) == truth(log)


def test_quic(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """OpenSSL's own QUIC, at both ends: the set is what it has logged."""
    folder, log = tmp_path / "libraries", tmp_path / "truth.log"
    shutil.copytree(packages.wheels(QUIC_WHEEL) / "psycopg2_binary.libs", folder)
    (libssl,), (libcrypto,) = folder.glob("libssl-*"), folder.glob("libcrypto-*")
    program = victims.build("quic/quic", tmp_path, f"-Wl,-rpath,{folder}", libraries=(libssl, libcrypto))
    keys = Keys(capture, tmp_path, libssl)
    programs.run(program, tls.cert, tls.key, log)
    assert set(keys.stop()) == truth(log)


def test_one_process(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """With --pid the secrets are those of that process, though its clients and another server use the same library."""
    meant, other = ((tmp_path / name) for name in ("meant.log", "other.log"))
    server, port = s_server(programs, tls, "-www", "-keylogfile", meant)
    _, other_port = s_server(programs, tls, "-www", "-keylogfile", other)
    keys = Keys(capture, tmp_path, tls.libssl, "--pid", str(server.pid))
    for number in (port, other_port):
        programs.run("openssl", "s_client", "-connect", f"127.0.0.1:{number}", stdin=subprocess.DEVNULL)
    assert truth(other)
    assert set(keys.stop()) == truth(meant)


def test_what_begins_later(everything: Callable[..., Any], tls: Tls, tmp_path: Path) -> None:
    """A library that nobody had used before is watched from then on, and who logged a secret is said with it."""
    log = tmp_path / "truth.log"

    def act(programs: Programs, run: Capture) -> None:
        _, port = s_server(programs, tls, "-www", "-keylogfile", log)
        wait_for(lambda: f"watching {tls.libssl}" in run.log.read_text(), "the library to be watched")
        programs.run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)

    _, messages = everything(act, "-m", "keylog")
    secrets = [message for message in messages if message["type"] == "secret"]
    assert {f"{one['label']} {one['client_random']} {one['secret']}" for one in secrets} == truth(log)
    assert {(one["executable"], one["library"], one["started"]) for one in secrets} == {
        (os.path.realpath(shutil.which("openssl") or ""), LIBSSL, "new")
    }
    assert len({one["pid"] for one in secrets}) == 2
    assert messages[-1]["captured"] == {"secret": len(secrets)}
    assert messages[-1]["lost"] == {}


@pytest.mark.big
def test_bun(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """Bun, stripped and without any word on where functions begin, has just the secrets that its server has logged."""
    program, log = packages.npm("@oven/bun-linux-x64") / "bin/bun", tmp_path / "truth.log"
    _, port = s_server(programs, tls, "-www", "-keylogfile", log)
    keys = Keys(capture, tmp_path, program)
    script = f'await fetch("https://localhost:{port}/", {{tls: {{rejectUnauthorized: false}}}})'
    programs.run(program, "-e", script)
    assert set(keys.stop()) == truth(log)


@pytest.mark.big
def test_chromium(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """The same of headless Chromium, whose networking has a process of its own."""
    log, (program, env) = tmp_path / "truth.log", chromium.program()
    _, port = s_server(programs, tls, "-www", "-keylogfile", log)
    keys = Keys(capture, tmp_path, program)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom")
    words = (f"--user-data-dir={tmp_path / 'profile'}", f"https://localhost:{port}/")
    programs.run(program, *flags, *words, env=env)
    assert set(keys.stop()) == truth(log)
