"""What all tests share: a compiler, why one may skip, and that nobody may skip in CI."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pellucid.parse.failures import Failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse import Protocol

KERNEL_TESTS = Path(__file__).parent / "kernel"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests under tests/kernel need root; without it they say so."""
    for item in items:
        if KERNEL_TESTS in item.path.parents:
            item.add_marker(pytest.mark.kernel)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root to load eBPF programs: sudo make test"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI (the variable that every CI sets) a test that did not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter else 0
    if skipped and os.environ.get("CI"):
        reporter.write_line(f"{skipped} tests were skipped, which CI counts as failures", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def failing_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions that a parser must not raise fail the test: in a capture they are logged, and would not be seen here."""

    def add(_failures: Failures, _parser: type[Protocol], error: Exception) -> None:
        raise error

    monkeypatch.setattr(Failures, "add", add)


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a shared library of C or assembly text and returns its path."""

    def build(
        source: str, *flags: str, name: str = "libx.so", language: str = "c", compiler: str = "cc"
    ) -> Path:
        path = tmp_path / name
        command = [compiler, "-shared", "-fPIC", "-nostdlib", *flags, "-o", path, "-x", language, "-"]
        subprocess.run(command, input=source, text=True, check=True, capture_output=True)
        return path

    return build
