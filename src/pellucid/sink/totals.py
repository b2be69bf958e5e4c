"""The closing lines, and how amounts are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.escape import escape
from pellucid.model import RECORDS_LOST
from pellucid.sink.payload import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pellucid.model import Summary
    from pellucid.sink.page import Page

_NOUNS = {
    "http": "HTTP exchange",
    "data": "data message",
    "websocket": "WebSocket message",
    "event": "server-sent event",
    "grpc": "gRPC message",
    "shell": "command",
    "query": "database command",
}
_ASIDES = {"connection", "lost"}
"""Not what people count: connections are not shown unless asked for, and what is lost has its own line."""

_UNITS = {"untracked_calls": "call", "unfollowed_forks": "fork", "unended_commands": "command"}
"""Reasons of a loss that do not count bytes, since these are not known (`model.Totals`), beside those of `RECORDS_LOST`."""
_INCOMPLETE = "INCOMPLETE: the stream ends here, what follows was not recorded"


def summary_lines(page: Page, message: Summary) -> Iterator[str]:
    """Say what was captured, what was lost, and what else is to be known."""
    time = page.time(message)
    yield f"{time} {page.paint('who', escape(_captured(message)))}"
    sizes = lost_sizes(message.lost)
    yield f"{time} {page.paint('warning', escape(f'LOST {sizes}')) if sizes else 'nothing lost'}"
    if message.undecided:
        undecided = f"undecided: {count(message.undecided, 'connection')} whose address was not known in time"
        yield f"{time} {page.paint('warning', undecided)}"
    if message.left_out and any(message.left_out.values()):
        yield f"{time} left out, of nobody who is known: {left_out_words(message.left_out)}"
    if message.older and any(message.older.values()):
        yield f"{time} older connections: {_older(message.older)}"
    if not message.complete:
        yield f"{time} {page.paint('warning', _INCOMPLETE)}"


def _older(numbers: dict[str, int]) -> str:
    """Say of how many there are secrets, and of how many not, and why."""
    told = {
        "unproven": "{} not found in memory",
        "unread": "up to {} idle or without TLS",
    }
    rest = [text.format(numbers[name]) for name, text in told.items() if numbers.get(name)]
    return ", ".join([f"secrets of {numbers.get('read', 0)} read", *rest])


def lost_sizes(lost: Mapping[str, int]) -> str:
    """Say how much was lost why; empty where nothing was."""
    return ", ".join(f"{lost_size(reason, size)} ({reason})" for reason, size in lost.items())


def left_out_words(numbers: dict[str, int]) -> str:
    """Say of how many packets it is not known whose they are, and why."""
    told = {
        "unowned": ("packet", "without a socket here"),
        "without_first": ("fragment", "behind no first one of its datagram"),
    }
    parts = [f"{count(numbers[name], noun)} {why}" for name, (noun, why) in told.items() if numbers.get(name)]
    return ", ".join(parts)


def lost_size(reason: str, number: int) -> str:
    """Say how much was lost, in the unit of its reason."""
    return count(number, _unit(reason))


def _unit(reason: str) -> str:
    return "record" if reason.endswith(RECORDS_LOST) else _UNITS.get(reason, "byte")


def kinds(captured: dict[str, int]) -> str:
    """Say how many messages of each kind there are, as people call them; empty where there are none."""
    shown = {kind: number for kind, number in captured.items() if kind not in _ASIDES}
    return ", ".join(count(number, _NOUNS.get(kind, kind)) for kind, number in shown.items())


def _captured(message: Summary) -> str:
    """Say what was captured: messages, or the bytes that were kept where no message was made of them."""
    messages = kinds(message.captured)
    lost = sum(size for reason, size in message.lost.items() if _unit(reason) == "byte")
    seconds, targets = f"{message.seconds:.1f} s", count(message.targets, "target")
    if not messages and message.bytes > lost:
        return f"captured {count(message.bytes - lost, 'byte')} in {seconds} from {targets}"
    return f"captured {messages or 'nothing'} in {seconds}: {count(message.bytes, 'byte')} from {targets}"
