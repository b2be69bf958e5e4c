"""How fast a recording becomes JSON on one core: `bench/replay.py [RECORDING]`, a part of `make bench`.

Without a recording one is made: nginx and wrk, small responses, both ends. Rounds of Pellucid's whole way from
envelopes to JSON lines and rounds of a reference loop over the same bytes follow each other in turn. The reference does
the least that could be called the same: httptools parses every message, the same fields become text, msgspec encodes
one object for each exchange; no framing of records, no order, no holes, no limits, no memory budget.
`--beside PYTHON` does the same again with another Python: the one that has the wheel, whose hot path is compiled.
`--times N` feeds the recording N times to one pipeline and prints its memory, which must not grow.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nginx import SMALL, nginx, wait_for
from reference import Reference
from reference2 import Reference2
from usage import MIB, resident

from pellucid.capture.envelope import HEADER, split
from pellucid.capture.recording import read_recording
from pellucid.decode import Decode
from pellucid.join import Join
from pellucid.model import Chunk, Direction, Kind
from pellucid.parse import Limits
from pellucid.parse.http1 import parser
from pellucid.pipeline import Pipeline
from pellucid.plugins import PARSERS, load
from pellucid.sink import Output, SinkOptions
from pellucid.sink.json import JsonSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

END = HEADER.pack(0, Kind.END, 0)
HTTP2 = b"PRI * HTTP/2.0"
"""How a client begins."""

REQUEST = (
    "User-Agent: orders-client/2.11.4 (linux; amd64)",
    "Accept: application/json",
    "Accept-Encoding: identity",
    "Accept-Language: en-GB,en;q=0.9",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcmRlcnMiLCJleHAiOjE3OTk5OTk5OTl9.6N1yYcY6Yt7WmQk",
    "Cache-Control: no-cache",
    "X-Forwarded-For: 10.20.30.40",
    "X-Request-Id: 7f9c2b1e-5a40-4c1d-9f2e-0c2b8f6d1a33",
)
RESPONSE = (
    "Cache-Control: max-age=0, private, must-revalidate",
    'ETag: W/"2f4a7c1e90b35d68"',
    "Strict-Transport-Security: max-age=63072000; includeSubDomains",
    "Vary: Accept-Encoding, Origin",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: SAMEORIGIN",
    "X-Request-Id: 7f9c2b1e-5a40-4c1d-9f2e-0c2b8f6d1a33",
    "X-Runtime: 0.004711",
)
BODY = json.dumps([{"order": number, "item": "tea", "paid": True, "total": "12.50"} for number in range(24)])


@dataclass
class Traffic:
    """What is recorded."""

    location: str
    """What nginx does with a request."""
    load: tuple[str, ...]
    """The client, with all but the URL."""


WRK = ("wrk", "-t1", "-c32", "-d1")
H2LOAD = ("h2load", "-n20000", "-c8", "-m8")
FIELDS = " ".join("add_header {0} '{2}';".format(*line.partition(": ")) for line in RESPONSE)
TRAFFIC = {
    "the smallest messages": Traffic(SMALL, WRK),
    "an API: 9 and 13 header fields, 1.5 KB of JSON": Traffic(
        f"{FIELDS} default_type application/json; return 200 '{BODY}';",
        (*WRK, *(word for line in REQUEST for word in ("-H", line))),
    ),
    "HTTP/2, the smallest messages": Traffic(SMALL, H2LOAD),
    "HTTP/2, the API": Traffic(
        f"{FIELDS} default_type application/json; return 200 '{BODY}';",
        (*H2LOAD, *(word for line in REQUEST for word in ("-H", line))),
    ),
}


def record(traffic: Traffic, path: Path) -> None:
    """Capture one load with `--record`."""
    with nginx(1, 1, traffic.location) as bench:
        ready = bench.folder / "ready"
        flags = ["--record", str(path), "--record-limit", "16384"]
        command = bench.command("recording", flags, ready)
        capture = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: ready.exists() or capture.poll() is not None)
        url = f"https://127.0.0.1:{bench.port}/orders?page=7"
        subprocess.run([*traffic.load, url], env=bench.env, check=True, stdout=subprocess.DEVNULL)
        capture.terminate()
        if capture.wait() != 0:
            sys.exit("the capture failed")


def batches(path: Path) -> list[bytes]:
    """The recording, without its end."""
    with path.open("rb") as file:
        read = list(read_recording(file, lambda: sys.exit("the recording has no end")))
    return [batch.removesuffix(END) for batch in read]


def pellucid(read: Iterable[bytes]) -> Pipeline:
    """Everything as in `pellucid replay -o json`, into the void."""
    sink = JsonSink(Output(os.open(os.devnull, os.O_WRONLY), "null"), SinkOptions())
    pipeline = Pipeline([*load(PARSERS).values()], Limits(), [sink])
    pipeline.run(read)
    return pipeline


def pieces(read: Iterable[bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """What the reference is fed: the bytes of each connection, in order, and whether its client sent them."""
    decode, join = Decode().decode, Join()
    asking: dict[int, Direction] = {}
    for batch in read:
        for envelope in split(batch):
            for value in decode(envelope):
                for flow in join(value):
                    if isinstance(flow, Chunk):
                        number, way = flow.connection.id, flow.direction
                        answers = flow.data.startswith((b"HTTP/", b"\0"))  # a frame of settings
                        asks = asking.setdefault(number, Direction(1 - way) if answers else way)
                        yield number, way is asks, flow.data


def seconds(act: Callable[[], object]) -> float:
    """CPU time of this thread, the collector's share included."""
    gc.collect()
    before = time.thread_time()
    act()
    return time.thread_time() - before


def compare(read: list[bytes], rounds: int) -> None:
    """Print both rates, and the ratio of each round's."""
    fed = list(pieces(read))
    made = Reference2 if any(data.startswith(HTTP2) for _, _, data in fed) else Reference
    ours, theirs = [], []
    exchanges = 0
    for _ in range(rounds):
        reference = made()
        theirs.append(seconds(lambda: reference.run(fed)))  # noqa: B023 - called at once
        ours.append(seconds(lambda: pellucid([*read, END])))
        exchanges = reference.exchanges + reference.unanswered
    captured = pellucid([*read, END]).summary
    if not captured or captured.captured["http"] != exchanges:
        sys.exit(f"not the same: the reference has {exchanges} exchanges, Pellucid {captured}")
    ratio = statistics.median(reference / own for reference, own in zip(theirs, ours, strict=True))
    print("| | exchanges/s |\n|---|---|")
    print(
        f"| the reference: the bare parser and msgspec alone | {exchanges / statistics.median(theirs):,.0f} |"
    )
    how = "interpreted" if parser.__file__.endswith(".py") else "compiled"
    print(f"| Pellucid {how}, records to JSON lines | {exchanges / statistics.median(ours):,.0f} |")
    print(
        f"\n{exchanges:,} exchanges, {rounds} rounds: {ratio:.2f} of the reference (median of rounds)",
        flush=True,
    )


def repeat(read: list[bytes], times: int) -> None:
    """Print memory while the recording is fed again and again; its connections close at its end."""

    def again() -> Iterator[bytes]:
        for number in range(times):
            yield from read
            if number in {1, times // 2, times - 1}:
                print(f"after {number + 1} times: {resident(os.getpid()) / MIB:.1f} MiB")
        yield END

    summary = pellucid(again()).summary
    print(f"{summary.captured['http'] if summary else 0:,} exchanges")


def main() -> None:
    """Compare, or repeat."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("recording", type=Path, nargs="?")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--times", type=int)
    arguments.add_argument("--beside", type=Path, metavar="PYTHON")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recordings = {str(chosen.recording): chosen.recording}
        if chosen.recording is None:
            recordings = {name: Path(folder) / str(number) for number, name in enumerate(TRAFFIC)}
            for name, path in recordings.items():
                record(TRAFFIC[name], path)
        for name, path in recordings.items():
            print(f"\n{name}:" if chosen.recording is None else "")
            if chosen.times:
                repeat(batches(path), chosen.times)
            else:
                compare(batches(path), chosen.rounds)
            if chosen.beside:
                subprocess.run([chosen.beside, __file__, path, f"--rounds={chosen.rounds}"], check=True)


if __name__ == "__main__":
    main()
