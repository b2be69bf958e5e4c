"""Real libraries of many makes and ages: each is found by what it defines, and what goes through it is right."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import victims
from tests.kernel.libraries import android, bullseye, file_in, new_wheel, node, old_wheel, sid, trixie
from tests.kernel.running import Capture, Programs, Tls, free_port, http, wait_for, wait_for_port
from tests.kernel.streams import body_hash, streams
from tests.kernel.test_api_paths import conversation

if TYPE_CHECKING:
    from collections.abc import Callable


LIBRARIES = {
    bullseye: ("OpenSSL 1.1.1", {"inner"}),
    trixie: ("OpenSSL 3.5.", {"inner"}),
    sid: ("OpenSSL ", {"inner"}),
    old_wheel: ("OpenSSL 1.1.1g ", {"inner"}),
    new_wheel: ("OpenSSL 3.5.4 ", {"inner"}),
    android: ("BoringSSL", {"entry"}),
}


@pytest.fixture(scope="session")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that sends a file through any libssl."""
    folder = tmp_path_factory.mktemp("loader")
    source = victims.SOURCES / "loaded/loads_libssl.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", folder / "loader", source, "-ldl"], check=True)
    return folder / "loader"


def listed(*flags: str | Path) -> list[dict[str, Any]]:
    """The rows of `pellucid targets --json`."""
    words = [sys.executable, "-m", "pellucid", "targets", "--json", *map(str, flags)]
    output = subprocess.run(words, check=True, capture_output=True).stdout
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("source", LIBRARIES, ids=lambda source: source.__name__)
def test_libraries(
    source: Callable[[], Path],
    loader: Path,
    tls: Tls,
    programs: Programs,
    capture: Callable[..., Capture],
    tmp_path: Path,
) -> None:
    """A file that goes through the library is seen at both ends, byte for byte; `targets` names its version."""
    folder = tmp_path / "copy"
    shutil.copytree(source(), folder)
    libssl = file_in(folder)
    sent = random.Random(3).randbytes(300_007)
    (tmp_path / "sent").write_bytes(sent)
    own_loader = (
        folder / "ld-linux-x86-64.so.2"
    )  # where the library needs a newer C library than this system's
    start = [own_loader] if own_loader.exists() else []
    run = capture(libssl=libssl)
    told = programs.run(
        *start, loader, libssl, tls.cert, tls.key, tmp_path / "sent", env={"LD_LIBRARY_PATH": str(folder)}
    )
    messages = run.stop()

    ends = json.loads(told.stdout)
    seen = {stream.pid: (stream.read, stream.written) for stream in streams(messages)}
    assert seen == {ends["client"]: (b"done", sent), ends["server"]: (sent, b"done")}
    assert messages[-1]["lost"] == {}
    version, kinds = LIBRARIES[source]
    (row,) = listed("--libssl", libssl)
    assert row["version"].startswith(version)
    assert (row["how"], {site["kind"] for site in row["sites"]}) == ("symbols", kinds)


def test_static_program(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """A program with OpenSSL linked into it is watched as a shared library is, at both ends."""
    program = victims.build("read_write", tmp_path, "-static")
    run = capture(libssl=program)
    ends = victims.run(program, programs, tls)
    messages = run.stop()

    assert sorted(streams(messages)) == sorted(conversation(end) for end in ends)
    assert messages[-1]["lost"] == {}


def test_node(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Node's own build, which has OpenSSL inside, is found by its process; what curl posts to it hashes right."""
    program = file_in(node())
    port = free_port()
    server = programs.start(program, victims.SOURCES / "https_server.js", str(port), tls.cert, tls.key)
    wait_for_port(port)
    (row,) = [row for row in listed("--pid", str(server.pid)) if row["path"] == str(program)]
    run = capture("--pid", str(server.pid), libssl=None)
    body = "from curl to Node's own build\n" * 1009
    curl = programs.run(
        "curl", "-sk", "--data-binary", "@-", f"https://127.0.0.1:{port}/", input=body.encode()
    )
    messages = run.stop()

    (exchange,) = http(messages)
    assert (exchange["pid"], exchange["role"], exchange["library"]) == (server.pid, "server", "node")
    assert exchange["response"]["body"].encode() == curl.stdout
    assert body_hash(exchange["request"]) == hashlib.sha256(body.encode()).hexdigest()
    assert messages[-1]["lost"] == {}
    assert (row["how"], row["why_not"]) == ("symbols", None)
    assert row["version"].startswith("OpenSSL 3.0.")
    comm = Path(f"/proc/{server.pid}/comm").read_text().strip()
    assert {"pid": server.pid, "comm": comm, "container": None} in row["processes"]


def test_every_process(tls: Tls, tmp_path: Path) -> None:
    """Without flags every process's files are listed: here all that a pid namespace of its own has."""
    library = tmp_path / "under-another-name.so"
    shutil.copy(tls.libssl, library)
    load = f"import ctypes; ctypes.CDLL('{library}'); print(flush=True); input()"
    script = (
        'mkfifo "$2"; "$0" -c "$1" <"$2" | { exec 3>"$2"; read _; exec "$0" -m pellucid targets --json; }'
    )
    command = [
        "unshare",
        "-p",
        "-f",
        "-m",
        "--mount-proc",
        "sh",
        "-c",
        script,
        sys.executable,
        load,
        tmp_path / "pipe",
    ]
    output = subprocess.run(command, check=True, capture_output=True, timeout=20).stdout
    rows = {row["path"]: row for row in map(json.loads, output.splitlines())}
    (process,) = rows[str(library)]["processes"]
    assert process["comm"].startswith("python")
    assert rows[str(library)]["sites"]
    assert len([row for row in rows.values() if row["processes"]]) == 1


def test_no_target_yet(capture: Callable[..., Capture]) -> None:
    """A process that has loaded none is watched all the same, and the log says that there is no target yet."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        run = capture("--pid", str(process.pid), libssl=None)
        wait_for(lambda: "no target yet" in run.log.read_text(), "the log to say it")
    assert run.ended()[-1]["type"] == "summary"
