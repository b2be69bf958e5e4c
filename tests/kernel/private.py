"""A private copy of libssl and a certificate, so that a test's capture sees the test's own programs only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.kernel.running import Tls

LIBSSL = "libssl.so.3"


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
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


def private_tls(folder: Path, certificate: tuple[Path, Path]) -> Tls:
    """Copy libssl into a folder `lib` of this one; anybody may read it."""
    library = folder / "lib"
    library.mkdir()
    shutil.copy(system_libssl(), library / LIBSSL)
    folder.chmod(0o755)
    return Tls(library / LIBSSL, *certificate)
