"""At full load: what is captured and what is said to be lost are together what the server has counted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

from tests.kernel.memory import MIB, Watcher
from tests.kernel.processes import decoder_of
from tests.kernel.running import PATIENCE, http, wait_for
from tests.kernel.servers import HELLO, Nginx

PACED = Path(__file__).parents[2] / "bench" / "paced.c"
MEMORY = 120
CONNECTIONS = 32
PAGE = b"a line of a page\n" * 180
"""Fits into one record, and into one read of wrk's."""

RING = 32 * MIB
LINE = 40
"""Bytes of a line of the server's log, at least."""


def accounted(messages, requests, responses):
    """Bytes that messages account for, shown or lost, by connection; each request and response has its one size."""
    counted = Counter()
    for message in messages:
        if message["type"] == "http":
            counted[message["conn"]] += requests * bool(message["request"])
            counted[message["conn"]] += responses * bool(message["response"])
        elif message["type"] in {"data", "lost"}:
            counted[message["conn"]] += message["size"]
    return counted


def test_constant_rate(programs, tls, capture, tmp_path):
    """At 5,000 exchanges a second, decoded at both ends, nothing is lost."""
    client = tmp_path / "paced"
    programs.run("gcc", "-O2", "-o", client, PACED, "-lssl", "-lcrypto")
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    run = capture()
    programs.run(client, nginx.port, CONNECTIONS, 5000, 2)
    messages = run.stop()

    assert messages[-1]["lost"] == {}
    for role in ("client", "server"):
        exchanges = http(messages, role)
        assert len(exchanges) == 10_000
        assert {message["response"]["body"] for message in exchanges} == {HELLO}


def test_full_load(programs, tls, capture, tmp_path):
    """wrk and nginx at full load, both ends watched, and more than the ring holds: every byte is captured or said
    to be lost, at each end exactly as many as the server has counted.
    """
    nginx = Nginx(programs, tls, tmp_path / "nginx")
    (nginx.files / "page").write_bytes(PAGE)
    run = capture()
    decoder = decoder_of(run.process.pid)
    with Watcher(run) as watcher:
        os.kill(decoder, signal.SIGSTOP)
        load = programs.start("wrk", "-t1", f"-c{CONNECTIONS}", "-d2", f"{nginx.url}/file/page")
        wait_for(
            lambda: nginx.logged() > 2 * RING * LINE / (2 * len(PAGE)), "more requests than the ring holds"
        )
        os.kill(decoder, signal.SIGCONT)
        assert load.wait(PATIENCE) == 0
        messages = run.stop(patience=2 * PATIENCE)
    log = nginx.stop()
    summary = messages[-1]
    (request,) = {row.received for row in log if row.sent}
    (response,) = {row.sent for row in log if row.sent}
    counted = accounted(messages, request, response)
    pids = {message["conn"]: message["pid"] for message in messages if message["type"] == "connection"}
    workers = {row.pid for row in log}

    assert summary["lost"]["ring_full"] > 0
    assert sum(summary["lost"].values()) == sum(
        message["size"] for message in messages if message["type"] == "lost"
    )
    assert sum(counted.values()) == summary["bytes"]
    at_nginx = sum(size for conn, size in counted.items() if pids[conn] in workers)
    assert at_nginx == sum(row.received + row.sent for row in log)
    at_wrk = summary["bytes"] - at_nginx
    assert 0 <= at_nginx - at_wrk <= CONNECTIONS * (request + response)
    assert RING / (4 * len(PAGE)) < len(http(messages, "server")) < len(log)
    assert watcher.peak <= MEMORY * MIB
