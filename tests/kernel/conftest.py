"""Fixtures for tests against real programs.

A probe on a shared library sees every process that uses that file, so programs here run with a private
copy of libssl (`tls.env`), and the capture watches that copy.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.inside import inside
from tests.kernel.machine import own_machine
from tests.kernel.pcaps import started
from tests.kernel.private import private_tls, self_signed
from tests.kernel.puppets import Puppet, build_library
from tests.kernel.running import Capture, Programs, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tls(tmp_path: Path, certificate: tuple[Path, Path]) -> Tls:
    """A private libssl, a certificate, and the environment that makes programs use them."""
    return private_tls(tmp_path, certificate)


@pytest.fixture
def programs(tls: Tls) -> Iterator[Programs]:
    """Start programs in the private environment; they are ended, by pid, after the test."""
    running = Programs(tls)
    yield running
    running.end_all()


@pytest.fixture
def capture(tls: Tls, tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`capture(*flags)` starts `pellucid tls` on the private libssl, and returns when it is ready.

    `patch` is Python that runs before it, to take away what the kernel has.
    """
    started: list[Capture] = []

    def start(*flags: str, libssl: Path | None = tls.libssl, patch: str = "") -> Capture:
        command = [sys.executable, "-c", _patched(patch), "tls", *flags]
        if libssl is not None:
            command += ["--libssl", str(libssl)]
        run = Capture(command, tmp_path / f"capture{len(started)}")
        started.append(run)
        return run.wait_until_ready()

    yield start
    for run in started:
        run.kill()


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`audit(command, program, *flags)` starts `pellucid command` on one program, and returns when it is ready."""
    started: list[Capture] = []

    def start(command: str, program: Path, *flags: str) -> Capture:
        words = [sys.executable, "-m", "pellucid", command, "-m", str(program), *flags]
        started.append(Capture(words, tmp_path / f"capture{len(started)}"))
        return started[-1].wait_until_ready()

    yield start
    for run in started:
        run.kill()


@pytest.fixture(scope="session")
def fake_ssl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose calls do nothing but return, see tests/victims/fake."""
    return build_library(tmp_path_factory.mktemp("fake"))


@pytest.fixture
def puppet(programs: Programs, fake_ssl: Path) -> Iterator[Callable[[str], Puppet]]:
    """`puppet(script)` starts a program that makes the calls of the fake library that its script names.

    It has loaded the library and waits at the first `pause` of the script.
    """
    with ExitStack() as opened:

        def start(script: str) -> Puppet:
            return opened.enter_context(Puppet(programs, fake_ssl, script))

        yield start


@pytest.fixture
def watch(capture: Callable[..., Capture], fake_ssl: Path) -> Callable[..., Capture]:
    """`watch(*flags)` is `capture` on the fake library."""
    return lambda *flags, **options: capture(*flags, libssl=fake_ssl, **options)


@pytest.fixture
def pcap(tls: Tls, tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """`pcap(file, *flags)` is `started`, and ended after the test."""
    captures: list[Capture] = []

    def start(file: Path, *flags: str, libssl: Path | None = None, patch: str = "") -> Capture:
        captures.append(started(tls, tmp_path, file, *flags, libssl=libssl, patch=patch))
        return captures[-1]

    yield start
    for run in captures:
        run.kill()


@pytest.fixture
def everything(tls: Tls, tmp_path: Path) -> Callable[..., Any]:
    """`everything(act)` runs `act(programs, capture)` on a machine of its own where everything is watched.

    Returns what `act` returns, and the capture's messages. `patch` is as for `capture`.
    """

    def run(act: Callable[[Programs, Capture], Any], *flags: str, patch: str = "") -> Any:
        def scenario() -> Any:
            command = [sys.executable, "-c", _patched(patch), "tls", "-d", *flags]
            capture = Capture(command, tmp_path / "capture")
            programs = Programs(tls)
            try:
                result = act(programs, capture.wait_until_ready())
                return result, capture.stop()
            finally:
                programs.end_all()
                capture.kill()

        answer = inside(own_machine, scenario)
        assert isinstance(answer, list), f"{answer}\n{(tmp_path / 'capture' / 'log').read_text()}"
        return answer

    return run


def _patched(patch: str) -> str:
    return f"{patch}\nfrom pellucid.cli import main\nmain()"
