"""One message of each type, as a replay of the recordings shows it, or made by hand where none of them has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from pellucid import model

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
"""Beside each recording is what its replay shows (tests/test_replay.py), of programs on one machine."""
BY_HAND = "by hand: no recording has one"

_TS = "2026-11-22T07:32:06.785541Z"
_WHO: dict[str, Any] = {
    "ts": _TS,
    "pid": 4711,
    "tid": 4712,
    "uid": 1000,
    "comm": "client",
    "executable": "/usr/bin/client",
    "container": None,
    "library": "libssl.so.3",
    "conn": 7,
    "src": "10.0.0.2:51234",
    "dst": "10.0.0.3:443",
    "role": "client",
}

_MADE: tuple[model.Message, ...] = (
    model.Grpc(
        **_WHO,
        stream=1,
        url="/helloworld.Greeter/SayHello",
        direction="write",
        number=0,
        message={"name": "you"},
        schema="helloworld.HelloRequest",
        data="\n\x03you",
        size=5,
    ),
    model.Query(
        **_WHO,
        server="postgres",
        user="app",
        database="shop",
        kind="execute",
        query="select name from item where id = $1",
        parameters=[42],
        rows=1,
        duration_ms=0.731,
    ),
    model.Shell(
        ts=_TS,
        pid=4711,
        ppid=4702,
        uid=1000,
        user="ada",
        comm="bash",
        shell="bash",
        tty="pts/3",
        cwd="/home/ada",
        line="for host in a b; do\n  ping -c 1 $host\ndone",
        exit_code=1,
        duration_ms=2043.518,
        ended="done",
    ),
    model.QueryShape(
        ts=_TS,
        server="postgres",
        shape="select name from item where id = ?",
        count=1841,
        total_ms=1380.512,
        p50_ms=0.707,
        p99_ms=2.18,
        rows=1840,
        errors=1,
    ),
    model.KeyLogLine(
        ts=_TS,
        pid=4711,
        tid=4712,
        uid=1000,
        comm="client",
        executable="/usr/bin/client",
        container=None,
        library="libssl.so.3",
        started="new",
        label="CLIENT_TRAFFIC_SECRET_0",
        client_random="5c2cc8ccbbc37022c1b4b9031f6ca6f75dd6425aa5abeb990b7b20b3b7a03147",
        secret="3f0d25bd45377570d7851decba9a19eb0e12269cf640d1948949a06d5d3195db",
    ),
    model.Lost(ts=_TS, conn=7, direction="read", offset=16384, size=4096, reason="ring_full"),
)


def examples() -> dict[str, tuple[dict[str, Any], str]]:
    """By type: the message, and where it comes from. The first of its type in the order of the files' names."""
    found: dict[str, tuple[dict[str, Any], str]] = {}
    for path in sorted(RECORDINGS.glob("*.ndjson")):
        for line in path.read_text().splitlines():
            message = json.loads(line)
            found.setdefault(message["type"], (message, f"from {path.stem}.pellucid"))
    for made in _MADE:
        message = json.loads(msgspec.json.encode(made))
        found.setdefault(message["type"], (message, BY_HAND))
    return found


def shown(message: dict[str, Any]) -> str:
    """JSON for a page: a field a line, and so inside of the halves of an exchange."""
    return "{\n" + ",\n".join(_lines(message, 1)) + "\n}"


def _lines(message: dict[str, Any], depth: int) -> list[str]:
    indent = "  " * depth
    return [f"{indent}{json.dumps(name)}: {_value(value, depth)}" for name, value in message.items()]


def _value(value: Any, depth: int) -> str:
    if isinstance(value, dict) and "headers" in value:
        return "{\n" + ",\n".join(_lines(value, depth + 1)) + "\n" + "  " * depth + "}"
    return json.dumps(value, ensure_ascii=False)
