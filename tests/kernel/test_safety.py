"""A watched program does what it would do unwatched, whatever it does: the same output, the same end.

The victims are in tests/victims/safety. What they cannot be safe from is in docs/safety.md.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pellucid.attach.filters import Filter
from pellucid.attach.images import Images
from pellucid.attach.loader import Tracing, find_points, find_sites
from pellucid.attach.targets import named_target
from pellucid.probes.openssl.probe import PROBE
from pellucid.probes.plaintext import OBJECT
from tests.kernel import victims
from tests.kernel.processes import state
from tests.kernel.running import PATIENCE, wait_for
from tests.kernel.servers import Nginx, s_server
from tests.kernel.streams import streams
from tests.kernel.victims import ROUNDS, answered, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

WAYS = ("fork", "vfork", "clone", "exec", "exit", "signal", "longjmp", "tls", "pthread_exit", "cancellation")
"""How a program leaves, doubles or replaces itself in the middle of SSL_write: see victims/safety/inside.c."""

DANGERS = (("sandbox",), ("breakpoints",), ("signals",), ("confined",), *(("inside", way) for way in WAYS))
AT_ONCE, CYCLES = 5, 10
"""How many captures there are at a time, and how often each of them comes and goes."""

NOBODY = 65534


class Outcome(NamedTuple):
    """What can be seen of a program from outside."""

    status: int
    """Of its exit, or a signal's number, negative."""
    output: bytes


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The victims, by name."""
    folder = tmp_path_factory.mktemp("safety")
    return {
        name: victims.build(f"safety/{name}", folder) for name in sorted({danger[0] for danger in DANGERS})
    }


@pytest.fixture
def run_all(built: dict[str, Path], programs: Programs, tls: Tls) -> Callable[[], dict[str, Outcome]]:
    """`run_all()` runs each victim to its end; what came of each."""

    def run(name: str, *words: str) -> Outcome:
        done = programs.run(built[name], tls.cert, tls.key, "1.3", *words, check=False)
        return Outcome(done.returncode, done.stdout)

    return lambda: {" ".join(danger): run(*danger) for danger in DANGERS}


def conversations(text: bytes) -> Counter[str]:
    """How many conversations programs say that they had, by name."""
    return Counter(name.decode() for name in re.findall(rb"^(\w+): %d rounds$" % ROUNDS, text, re.MULTILINE))


# --- what a program does ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sites", ["auto", "entry"])
def test_the_same_as_unwatched(
    sites: str, run_all: Callable[[], dict[str, Outcome]], capture: Callable[..., Capture]
) -> None:
    """Sandboxed, stepping, interrupted, full, or left in the middle of a call: every victim ends as it does
    unwatched, and each conversation that it had was seen at both ends.
    """
    unwatched = run_all()
    run = capture("--sites", sites)
    watched = run_all()
    messages = run.stop()

    assert watched == unwatched
    assert messages[-1]["lost"] == {}
    seen = streams(messages)
    for name, number in conversations(b"".join(outcome.output for outcome in watched.values())).items():
        for text in (asked(name), answered(name)):
            assert sum(stream.written.count(text) for stream in seen) == number, name
            assert sum(stream.read.count(text) for stream in seen) == number, name


def test_secure_execution(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path
) -> None:
    """A set-group-id program is watched like any other, and keeps the group that its file gives it."""
    program = victims.build("safety/inside", tmp_path, f"-Wl,-rpath,{tls.libssl.parent}")
    shutil.chown(program, group=NOBODY)
    program.chmod(0o2755)
    run = capture()
    done = programs.run(program, tls.cert, tls.key, "1.3", "tls")
    messages = run.stop()

    assert conversations(done.stdout) == {"inner": 1}
    assert asked("inner") in [stream.written for stream in streams(messages)]


# --- what others do to it --------------------------------------------------------------------------------


def test_a_debugger(
    built: dict[str, Path], tls: Tls, programs: Programs, capture: Callable[..., Capture]
) -> None:
    """Under gdb, breakpoints in the library stop the program as often as unwatched; one at the very place
    of a probe is not seen by gdb, and does no harm.
    """
    commands = ("break main", "run", "break SSL_get_wbio", "ignore 2 1000000",
                "break *(char*)&SSL_new", "ignore 3 1000000", "continue", "info breakpoints")  # fmt: skip

    def debug() -> tuple[bytes, dict[bytes, bytes]]:
        words = [word for command in commands for word in ("-ex", command)]
        victim = (built["inside"], tls.cert, tls.key, "1.3", "tls")
        done = programs.run("gdb", "-q", "-nx", "-batch", *words, "--args", *victim)
        return done.stdout, dict(re.findall(rb"<(\w+)>\n\tbreakpoint already hit (\d+) time", done.stdout))

    unwatched, hits = debug()
    run = capture()
    watched, hits_watched = debug()
    messages = run.stop()

    assert b"exited normally" in unwatched
    assert b"exited normally" in watched
    assert conversations(watched) == conversations(unwatched)
    assert hits.keys() == {b"main", b"SSL_get_wbio", b"SSL_new"}
    del hits[b"SSL_new"]
    assert hits_watched == hits
    assert messages[-1]["bytes"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_at_the_end(
    number: signal.Signals, tls: Tls, programs: Programs, capture: Callable[..., Capture]
) -> None:
    """A program that is stopped (SIGSTOP) within SSL_read when Pellucid ends, or is killed, returns from it well."""
    server, port = s_server(programs, tls, "-quiet", stdin=subprocess.PIPE)
    client = """
import socket, ssl, sys
context = ssl._create_unverified_context()
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))) as server:
    print("connected", flush=True)
    print(server.recv(100))
"""
    run = capture()
    command = (sys.executable, "-c", client, str(port))
    with programs.start(*command, stdout=subprocess.PIPE) as process, server.stdin:
        assert process.stdout.readline() == b"connected\n"
        wait_for(lambda: state(process.pid) == "S", "the client to wait for an answer")
        process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state(process.pid) == "T", "the client to stop")
        run.process.send_signal(number)
        run.process.wait(PATIENCE)
        process.send_signal(signal.SIGCONT)
        server.stdin.write(b"after the end\n")
        server.stdin.flush()
        assert process.stdout.read() == b"b'after the end\\n'\n"
    assert process.returncode == 0


def test_a_library_that_is_replaced(
    built: dict[str, Path], tls: Tls, programs: Programs, capture: Callable[..., Capture]
) -> None:
    """When an upgrade puts another file in the library's place, the capture ends well and programs run on."""
    run = capture()
    successor = tls.libssl.with_suffix(".new")
    shutil.copy(tls.libssl, successor)
    successor.rename(tls.libssl)
    done = programs.run(built["inside"], tls.cert, tls.key, "1.3", "tls")
    run.stop()
    assert conversations(done.stdout) == {"inner": 1}


@pytest.fixture
def versions(tmp_path: Path) -> tuple[Path, Path]:
    """A library, and another version of it."""
    before, after = tmp_path / "before.so", tmp_path / "after.so"
    for library, flags in ((before, ()), (after, ("-DAFTER",))):
        source = victims.SOURCES / "safety" / "versions.S"
        subprocess.run(["gcc", "-shared", *flags, "-o", library, source], check=True)
    return before, after


def test_a_library_that_is_overwritten(
    versions: tuple[Path, Path], programs: Programs, capture: Callable[..., Capture]
) -> None:
    """When somebody writes another version into the library's file, its probes go, and programs that load it then
    run what is in the file; the capture goes on.
    """
    library, after = versions
    command = (sys.executable, "-c", f"import ctypes; print(ctypes.CDLL({str(library)!r}).SSL_read(0, 0, 0))")
    run = capture(libssl=library)
    first = programs.run(*command).stdout
    with library.open("r+b") as file:
        file.write(after.read_bytes())
        file.flush()
        wait_for(lambda: "was written into" in run.log.read_text(), "the probes to go")
    second = programs.run(*command).stdout
    run.stop()
    assert (first, second) == (b"1\n", b"2\n")


# --- what Pellucid does to it ----------------------------------------------------------------------------


@pytest.fixture
def load(tls: Tls, programs: Programs, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """wrk, which asks nginx for as long as the test goes on."""
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    with programs.start("wrk", "-t", "1", "-c", "8", "-d", "120", nginx.url, stdout=subprocess.PIPE) as wrk:
        yield wrk
        wrk.kill()


def test_fifty_captures(tls: Tls, load: subprocess.Popen[bytes]) -> None:
    """While nginx serves, captures come and go fifty times, each of them in the middle of requests: none fails."""
    with Images() as images:
        target = named_target(PROBE, images, tls.libssl)
    points = find_points(target, PROBE, find_sites(target, PROBE))

    def come_and_go(tracing: Tracing) -> None:
        seen = 0
        for number in range(CYCLES):
            tracing.attach(target, number, points)
            wait_for(lambda seen=seen: tracing.drops().seen_bytes > seen, "a request")
            tracing.detach()
            seen = tracing.drops().seen_bytes

    with ExitStack() as opened, ThreadPoolExecutor(AT_ONCE) as threads:
        captures = [opened.enter_context(closing(Tracing(OBJECT, 1 << 20, Filter()))) for _ in range(AT_ONCE)]
        list(threads.map(come_and_go, captures))
    load.send_signal(signal.SIGINT)
    report, _ = load.communicate(timeout=PATIENCE)

    assert int(re.search(rb"(\d+) requests in", report)[1]) > AT_ONCE * CYCLES
    assert b"Socket errors" not in report
    assert b"Non-2xx" not in report
