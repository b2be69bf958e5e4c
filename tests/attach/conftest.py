"""Libraries to look into: compiled here from a few lines, or Debian's own of several releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kernel import packages

SYSTEM_LIBSSL = Path("/usr/lib/x86_64-linux-gnu/libssl.so.3")


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

    def fetch(suite, package):
        return next(packages.debian_suite(suite, package).glob("usr/lib/*/libssl.so.*"))

    return fetch
