"""Running captures and the programs that they watch."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.valid import check_some

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PATIENCE = 20.0 * float(os.environ.get("PELLUCID_TEST_SLOWNESS", "1"))
"""Seconds after which a condition that should have come true is a failure; CI machines are slow.

The variable PELLUCID_TEST_SLOWNESS stretches it, for kernels that run under emulation."""

CHECK_EVERY = 0.005


def wait_for(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return the first true value of `condition`; fail, naming what was waited for."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience} s for {what}"
        select.select([], [], [], CHECK_EVERY)
    return value


@dataclass(frozen=True)
class Tls:
    """A private copy of libssl, and a certificate for localhost."""

    libssl: Path
    cert: Path
    key: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment in which programs load the private libssl."""
        return {**os.environ, "LD_LIBRARY_PATH": str(self.libssl.parent)}


class Programs:
    """Programs that a test starts: in the private environment, ended by pid."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def env(self) -> dict[str, str]:
        """The private environment."""
        return self._tls.env

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program that goes on until the test ends, such as a server."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        options.setdefault("env", self._tls.env)
        process = subprocess.Popen([str(word) for word in command], **options)
        self._started.append(process)
        return process

    def run(self, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end; fail if it fails."""
        options = {"env": self._tls.env, "check": True, "timeout": PATIENCE, **options}
        return subprocess.run([str(word) for word in command], capture_output=True, **options)

    def end_all(self) -> None:
        """End what was started."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, address: str = "127.0.0.1") -> None:
    """Until somebody listens there."""

    def listening() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return True
        return False

    wait_for(listening, f"a server on port {port}")


class Capture:
    """A running `pellucid tls` that writes JSON to a file."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.events = folder / "events.ndjson"
        self.log = folder / "log"
        self._ready = folder / "ready"
        words = [*command, "--ready-file", str(self._ready)]
        if "-o" not in words and "--record" not in words:
            words += ["-o", f"json:{self.events}"]
        with self.log.open("wb") as log, (folder / "stdout").open("wb") as stdout:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log)

    def wait_until_ready(self) -> Capture:
        """Until probes are in place."""
        wait_for(lambda: self._ready.exists() or self.process.poll() is not None, "the capture to begin")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def stop(
        self, number: signal.Signals = signal.SIGINT, patience: float = PATIENCE
    ) -> list[dict[str, Any]]:
        """End it as a user does; return its messages. Fails if it does not end well."""
        self.process.send_signal(number)
        return self.ended(patience)

    def ended(self, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """Wait until it has ended by itself, with status 0; return its messages, which are as their schema says."""
        status = self.process.wait(patience)
        assert status == 0, self.log.read_text()
        messages = self.messages()
        check_some(messages)
        return messages

    def messages(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What it has written so far, all or of one type."""
        if not self.events.exists():
            return []
        lines = self.events.read_bytes().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [message for message in found if kind in {None, message["type"]}]

    def kill(self) -> None:
        """End it the hard way, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def http(
    messages: list[dict[str, Any]], role: str | None = None, pid: int | None = None
) -> list[dict[str, Any]]:
    """The exchanges, of one end or one process."""
    return [
        message
        for message in messages
        if message["type"] == "http" and role in {None, message["role"]} and pid in {None, message["pid"]}
    ]
