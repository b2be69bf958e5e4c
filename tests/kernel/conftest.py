"""Fixtures for tests against real programs.

A probe on a shared library sees every process that uses that file, so programs here run with a private
copy of libssl (`tls.env`), and the capture watches that copy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.running import Capture, Programs, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBSSL = "libssl.so.3"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    folder.chmod(0o755)
    key.chmod(0o644)
    return cert, key


def system_libssl() -> Path:
    """The libssl that this machine's programs load."""
    listing = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    return Path(next(line.split()[-1] for line in listing.splitlines() if line.split()[0] == LIBSSL))


@pytest.fixture
def tls(tmp_path: Path, certificate: tuple[Path, Path]) -> Tls:
    """A private libssl, a certificate, and the environment that makes programs use them."""
    folder = tmp_path / "lib"
    folder.mkdir()
    shutil.copy(system_libssl(), folder / LIBSSL)
    tmp_path.chmod(0o755)
    return Tls(folder / LIBSSL, *certificate)


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
        main = f"{patch}\nfrom pellucid.cli import main\nmain()"
        command = [sys.executable, "-c", main, "tls", *flags]
        if libssl is not None:
            command += ["--libssl", str(libssl)]
        run = Capture(command, tmp_path / f"capture{len(started)}")
        started.append(run)
        return run.wait_until_ready()

    yield start
    for run in started:
        run.kill()
