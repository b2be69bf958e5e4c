"""Packets that wait for keys, in a ring without room."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.kernel.networks import alone
from tests.kernel.pcaps import end
from tests.kernel.processes import decoder_of
from tests.kernel.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture

pytestmark = pytest.mark.kernel

HOLD = 0.3
"""Seconds for which packets wait here: nobody has the keys."""
PATCH = f"from pellucid.attach.packets import tracing; tracing.WAIT_NS = {int(HOLD * 1e9)}"
RANDOM = os.urandom(32)
HELLO = b"\x16\x03\x01\x00\x2e\x01\x00\x00\x2a\x03\x03" + RANDOM + bytes(8)
LARGE, MANY = 60_000, 600
"""More than the ring's 32 MiB."""


def test_no_room_for_the_word_that_nobody_waits(pcap: Callable[..., Capture], tmp_path: Path) -> None:
    """Where the packet is lost that says that those before it wait no longer, the next one says so: they stay in order."""
    file = tmp_path / "a.pcapng"
    with (
        alone() as here,
        here.entered(),
        socket.create_server((here.address, 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taker,
    ):
        taker.bind((here.address, 0))
        run = pcap(file, "-i", "lo", patch=PATCH)
        decoder = decoder_of(run.process.pid)
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            client.sendall(HELLO)
            sent = time.monotonic()
            assert server.recv(1000) == HELLO
            os.kill(decoder, signal.SIGSTOP)
            for size in (LARGE, 1):  # the last leave no room for even the smallest
                for _ in range(MANY):
                    taker.sendto(bytes(size), taker.getsockname())
            wait_for(lambda: time.monotonic() > sent + HOLD, "the time of waiting to be over")
            client.sendall(b"is not written")
            os.kill(decoder, signal.SIGCONT)
            wait_for(lambda: file.stat().st_size > 480 * LARGE, "the ring to be read")
            client.sendall(b"comes after the hello")
            wait_for(lambda: b"comes after" in file.read_bytes()[-2000:], "the packet to be written")
        end(run)
    data = file.read_bytes()
    assert b"is not written" not in data
    assert 0 < data.find(RANDOM) < data.find(b"comes after the hello")
