"""Debian's Node, whose TLS is the system's shared libssl: other builds carry their own inside.

It is unpacked into a cache beside whatever Node the machine has, and never installed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PACKAGES = ("libnode108", "node-acorn", "node-cjs-module-lexer", "node-undici", "libuv1", "libc-ares2",
            "libicu72", "libnghttp2-14", "libbrotli1")  # fmt: skip
"""What Debian 12's nodejs needs beyond what every Debian has; nodejs itself in libnode108's version."""

# It looks for parts of itself under /usr/share/nodejs: they are laid over /usr/share, for it alone.
_ENTER = 'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"'


def cache() -> Path:
    """Where programs that tests download are kept."""
    return Path(os.environ.get("PELLUCID_TEST_CACHE", "~/.cache/pellucid-tests")).expanduser()


def unpack() -> Path:
    """The folder that holds Node, downloaded where it is not there yet."""
    folder = cache() / "bookworm-nodejs"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        _download(partial)
        for package in sorted(partial.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, partial], check=True)
            package.unlink()
        partial.rename(folder)
    return folder


def _download(folder: Path) -> None:
    policy = subprocess.run(["apt-cache", "policy", "libnode108"], check=True, capture_output=True, text=True)
    lines = [line.split() for line in policy.stdout.splitlines()]
    version = next((words[1] for words in lines if words[0] == "Candidate:"), None)
    assert version, "apt does not know libnode108: run apt-get update; Node from Debian 12 is needed"
    subprocess.run(
        ["apt-get", "download", "--quiet", *PACKAGES, f"nodejs={version}"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def command(folder: Path) -> list[str]:
    """The words before a script's name that run it; the environment is `environment`'s."""
    return ["unshare", "--mount", "sh", "-c", _ENTER, f"{folder}/usr/share", f"{folder}/usr/bin/node"]


def environment(folder: Path, libssl: Path) -> dict[str, str]:
    """Where Node finds its libraries, libssl being the private one."""
    (libraries,) = folder.glob("usr/lib/*-linux-gnu")
    return {**os.environ, "LD_LIBRARY_PATH": f"{libssl.parent}:{libraries}"}
