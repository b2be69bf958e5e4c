"""QUIC by OpenSSL itself, where each stream is an `SSL *`: the library is that of a PyPI wheel."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.kernel import packages, victims
from tests.kernel.streams import Stream, streams
from tests.kernel.victims import ROUNDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

WHEEL = "psycopg2-binary==2.9.13"
"""It carries OpenSSL 3.5; its own use of it does not matter here."""

STREAMS = 3


def asked(stream: int) -> bytes:
    """What the client of victims/quic/quic.c writes on one of its streams."""
    return b"".join(b"%d asks %d\n" % (stream, number) for number in range(ROUNDS))


def test_streams(tls: Tls, programs: Programs, capture: Callable[..., Capture], tmp_path: Path) -> None:
    """Each stream is a connection of its own, from its beginning to its end, with its own bytes at both ends; the
    addresses of sockets that were never connected are null.
    """
    folder = tmp_path / "libraries"
    shutil.copytree(packages.wheels(WHEEL) / "psycopg2_binary.libs", folder)
    (libssl,), (libcrypto,) = folder.glob("libssl-*"), folder.glob("libcrypto-*")
    program = victims.build("quic/quic", tmp_path, f"-Wl,-rpath,{folder}", libraries=(libssl, libcrypto))
    run = capture(libssl=libssl)
    output = programs.run(program, tls.cert, tls.key).stdout.decode()
    messages = run.stop()

    pids = {role: int(pid) for role, pid in (line.split() for line in output.splitlines())}
    expected = [Stream(pids["client"], None, None, b"%d answers\n" % n, asked(n)) for n in range(STREAMS)]
    expected += [Stream(pids["server"], None, None, asked(n), b"%d answers\n" % n) for n in range(STREAMS)]
    assert sorted(streams(messages)) == sorted(expected)
    events = [
        (message["event"], message["started"]) for message in messages if message["type"] == "connection"
    ]
    assert sorted(events) == [("closed", "new")] * 2 * STREAMS + [("opened", "new")] * 2 * STREAMS
    assert messages[-1]["lost"] == {}
