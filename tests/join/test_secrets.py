"""Secrets of handshakes on their way from the record to the message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import FormatError
from pellucid.join import Join
from pellucid.model import LABELS, Clock, KeyLogLine, Process, Secret, Target
from pellucid.parse import Limits, Parse

WALL = 1_700_000_000_000_000_000
RANDOM = bytes(range(32))


def record(label: str, size: int, *, mid: int = 0) -> Secret:
    """A secret of that many bytes."""
    return Secret(5000, 0xABC0, 3, 7, 8, 1000, LABELS.index(label), mid, b"curl\0", RANDOM, b"\xee" * size)


def lines(*records: Any) -> list[KeyLogLine]:
    """The messages that the records make."""
    join, parse = Join(), Parse([], Limits(max_body=1, max_decoded=1, max_held=1 << 20, schema=None))
    context = Clock(0, WALL), Target(3, "libssl.so.3", "/lib/libssl.so.3", "entry")
    flows = [flow for each in (*context, *records) for flow in join(each)]
    messages = [message for flow in flows for message in parse.parse(flow)]
    return [message for message in messages if isinstance(message, KeyLogLine)]


def test_a_secret() -> None:
    """It says who, when by the wall clock, and the line of a key log in its parts."""
    names = b"curl\0bin\0usr\0"
    (line,) = lines(Process(0, 0, 7, len(names), names), record("CLIENT_TRAFFIC_SECRET_0", 48))
    assert (line.ts, line.pid, line.tid, line.uid) == ("2023-11-14T22:13:20.000005Z", 7, 8, 1000)
    assert (line.comm, line.executable, line.library) == ("curl", "/usr/bin/curl", "libssl.so.3")
    assert (line.label, line.started) == ("CLIENT_TRAFFIC_SECRET_0", "new")
    assert (line.client_random, line.secret) == (RANDOM.hex(), "ee" * 48)


def test_rsa_key_exchange() -> None:
    """A premaster secret is told by 8 bytes of its encryption, as OpenSSL writes it."""
    (line,) = lines(record("RSA", 48, mid=1))
    assert (line.client_random, line.started) == (RANDOM[:8].hex(), "mid")


def test_a_label_that_does_not_exist() -> None:
    """A damaged stream is told, not shown."""
    with pytest.raises(FormatError, match="label 11"):
        lines(record("RSA", 48)._replace(label=len(LABELS)))


def test_labels_are_those_of_the_kernel_part() -> None:
    """The texts that the probe compares with are the labels of the model, in their order."""
    source = Path(__file__).parents[2] / "bpf/secret.h"
    texts = [line.strip().strip('",') for line in source.read_text().splitlines() if line.startswith('    "')]
    assert tuple(texts) == LABELS
