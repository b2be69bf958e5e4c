"""Exceptions that a parser must not raise: a bug in it must not end a capture of everybody else.

The connection is shown as raw data from there on. Bytes that the parser had taken of the chunk at which it failed may
be shown twice, and what was pending in it is shown as far as it still can.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from pellucid.log import log

if TYPE_CHECKING:
    from pellucid.parse.protocol import Protocol


class Failure(NamedTuple):
    """What is told of one: no captured byte, as the words of an exception might have them."""

    parser: str
    exception: str
    place: str
    """`file:line` where it was raised."""


class Failures:
    """Those of one parse stage: each kind is logged when it is met first, and counted."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[Failure] = Counter()

    def add(self, parser: type[Protocol], error: Exception) -> None:
        """Take note that `parser` has raised `error`."""
        failure = Failure(f"{parser.__module__}.{parser.__qualname__}", type(error).__name__, _place(error))
        self._counts[failure] += 1
        if self._counts[failure] == 1:
            log.error("%s failed (%s at %s): its connection is shown as raw data; please report it", *failure)

    def summarize(self) -> None:
        """Tell how often, where that was more than once."""
        for failure, count in self._counts.items():
            if count > 1:
                log.error("%s failed %d times (%s at %s)", failure.parser, count, *failure[1:])


def _place(error: Exception) -> str:
    traceback = error.__traceback__
    if traceback is None:
        return "unknown"
    while traceback.tb_next:
        traceback = traceback.tb_next
    name = traceback.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{name}:{traceback.tb_lineno}"
