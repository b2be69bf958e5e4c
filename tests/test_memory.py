"""`--memory` is divided so that the parts are never more than the whole."""

from __future__ import annotations

import re
import resource

import pytest

from pellucid.errors import UsageError
from pellucid.memory import COMPRESSOR, SHOWN, divide, this_process, tracer_and_decoder

MIB = 1 << 20
PROCESSES = 60 * MIB


@pytest.mark.parametrize("memory", [100, 120, 1000])
def test_the_parts_fit_into_the_whole(memory: int) -> None:
    """Two drain buffers, what connections hold and one message being shown leave room for two processes."""
    parts = divide(memory, MIB, PROCESSES)
    assert 2 * parts.drain + parts.held + SHOWN * MIB <= memory * MIB - PROCESSES
    assert parts.held >= 8 * MIB


def test_more_memory_is_for_connections() -> None:
    """What is given on top goes to what connections hold, for the most part."""
    assert divide(1000, MIB, PROCESSES).held - divide(500, MIB, PROCESSES).held > 300 * MIB


def test_outputs_have_their_part() -> None:
    """Queues before connections, and compressors, are taken off what connections hold; a longer body makes a longer queue."""
    alone, together = divide(120, MIB, PROCESSES), divide(120, MIB, PROCESSES, remotes=2, compressed=1)
    assert together.queue == 4 * MIB
    parts = 2 * together.drain + together.held + SHOWN * MIB + 2 * together.queue + COMPRESSOR
    assert parts <= 120 * MIB - PROCESSES
    assert together.held < alone.held
    assert divide(None, 4 * MIB, PROCESSES, remotes=1).queue == 16 * MIB


def test_too_little() -> None:
    """Bodies too long for the memory are refused, and the amount that the error names is enough."""
    with pytest.raises(UsageError, match=r"^--memory 120 is too little for --max-body 33554432") as caught:
        divide(120, 32 * MIB, PROCESSES)
    enough = re.search(r"at least (\d+) \(MiB\)", str(caught.value))
    assert enough
    assert divide(int(enough[1]), 32 * MIB, PROCESSES).held >= 64 * MIB  # one that comes, and one that waits
    with pytest.raises(UsageError):
        divide(int(enough[1]) - 1, 32 * MIB, PROCESSES)


def test_the_default_is_never_too_little() -> None:
    """Nobody who names no amount is told that it is too little: it is as much as the rest needs."""
    for processes in (PROCESSES, 3 * PROCESSES):
        parts = divide(None, 4 * MIB, processes, selecting=True)
        assert parts.held + parts.aside >= 8 * MIB


def test_what_processes_take() -> None:
    """It is measured: no more than this process ever took, and a fork at most doubles it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert peak / 4 < this_process() < 1.1 * peak
    assert this_process() < tracer_and_decoder() < 2 * peak + 16 * MIB
