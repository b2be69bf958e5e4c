"""What a key log costs nginx: with keep-alive, where nothing should, and with a handshake for each request.

The load and the rounds are those of `bench/nginx.py`: both ends watched, with and without a capture in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from nginx import Bench, Round, nginx

MODES: dict[str, list[str] | None] = {
    "no capture": None,
    "-m keylog": ["-m", "keylog", "-k", "{folder}/keys"],
}
LOADS: dict[str, tuple[str, ...]] = {"keep-alive": (), "a handshake each": ("-H", "Connection: close")}


def rounds_of(bench: Bench, number: int) -> dict[str, list[Round]]:
    """By mode, so many rounds of each, in turn."""
    results: dict[str, list[Round]] = {name: [] for name in MODES}
    bench.load()  # warm
    for count in range(number):
        for name, flags in MODES.items():
            print(f"round {count + 1} of {number}: {' '.join(bench.flags)} {name}", file=sys.stderr)
            results[name].append(bench.round(name, flags))
    return results


def row(load: str, results: dict[str, list[Round]]) -> str:
    """Medians over the rounds, a capture compared with the round before it."""
    base, captured = results.values()
    pairs = list(zip(captured, base, strict=True))
    kept = [with_.rate / without.rate for with_, without in pairs]
    added = [with_.work - without.work for with_, without in pairs]
    rates = [statistics.median(each.rate for each in rounds) for rounds in (base, captured)]
    spread = f"{min(kept):.1%} to {max(kept):.1%}"
    return (
        f"| {load} | {rates[0]:,.0f} | {rates[1]:,.0f} | {statistics.median(kept):.1%} ({spread}) "
        f"| {statistics.median(each.work for each in base):.1f} | {statistics.median(added):.1f} |"
    )


def main() -> None:
    """Run the rounds and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=4, help="of load in each round")
    arguments.add_argument("--connections", type=int, default=16)
    chosen = arguments.parse_args()
    print("| | requests/s | with a key log | kept | CPU us a request | added |\n|---|---|---|---|---|---|")
    with nginx(chosen.seconds, chosen.connections, protocols="TLSv1.3") as bench:
        for load, bench.flags in LOADS.items():
            print(row(load, rounds_of(bench, chosen.rounds)), flush=True)


if __name__ == "__main__":
    main()
