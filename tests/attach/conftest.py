"""Libraries to look into: compiled here from a few lines, or Debian's own of several releases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEM_LIBSSL = Path("/usr/lib/x86_64-linux-gnu/libssl.so.3")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.fixture
def function(library):
    """A function that makes a library of the assembly text of one function `f` and helpers."""

    def build(text):
        helpers = "".join(
            f".hidden {name}\n.globl {name}\n.type {name},@function\n{name}: ret\n.size {name},.-{name}\n"
            for name in ("g", "h")
        )
        return library(
            f".globl f\n.type f,@function\nf: {text}\n.size f,.-f\n{helpers}", language="assembler"
        )

    return build


@pytest.fixture(scope="session")
def system_libssl():
    """The libssl of the Debian release that the tests run on."""
    if not SYSTEM_LIBSSL.exists():
        pytest.skip(f"this system has no {SYSTEM_LIBSSL}: install libssl3")
    return SYSTEM_LIBSSL


@pytest.fixture(scope="session")
def debian_libssl():
    """A function that returns the libssl of another Debian release, fetched once by apt and kept."""
    cache = Path(os.environ.get("PELLUCID_TEST_CACHE", "~/.cache/pellucid-tests")).expanduser()

    def fetch(suite, package):
        folder = cache / f"{suite}-{package}"
        if not list(folder.glob("usr/lib/*/libssl.so.*")):
            _fetch(folder, suite, package)
        return next(folder.glob("usr/lib/*/libssl.so.*"))

    return fetch


def _fetch(folder, suite, package):
    """Unpack a package of another release, through a private apt that leaves the system's alone."""
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    line = f"deb [arch=amd64 signed-by={_KEYRING}] {_mirror()} {suite} main\n"
    (folder / "sources.list").write_text(line)
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    try:
        for step in ("update", "--error-on=any"), ("download", f"{package}:amd64"):
            subprocess.run([*apt, *step], cwd=folder, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"{package} of {suite} cannot be fetched: {error}")
    subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder], check=True)
    shutil.rmtree(folder / "lists")


def _mirror():
    """The archive that this system's own packages come from."""
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        text = path.read_text() if path.is_file() else ""
        found = re.search(r"^(?:URIs:|deb\b.*?)\s*(https?://\S+/debian)(?=[/\s])", text, re.MULTILINE)
        if found:
            return found[1]
    pytest.skip("apt on this system knows no Debian archive")
