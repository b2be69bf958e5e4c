"""Payloads alone, for `--body`: as they were sent, neither marked nor indented, for the program behind a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Grpc, Http, Query, Shell, Summary
from pellucid.sink.inside import grpc_payload
from pellucid.sink.page import header
from pellucid.sink.payload import INDENT, payload_lines
from pellucid.sink.totals import summary_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Message, Text
    from pellucid.sink.page import Page


def body_lines(page: Page, message: Message) -> Iterator[str]:
    """Yield the lines of all payloads of a message, a request's before its response's.

    The summary is said only where it has to be, since something is missing.
    """
    if isinstance(message, Summary):
        if message.lost or message.undecided or not message.complete:
            yield from summary_lines(page, message)
        return
    for data, media in _payloads(message):
        for lines in payload_lines(data, page.options, page.paint, media=media):
            yield "\n".join(line.removeprefix(INDENT) for line in lines.split("\n"))


def _payloads(message: Message) -> Iterator[tuple[Text, str | None]]:
    if isinstance(message, Http):
        for half in (message.request, message.response):
            if half is not None and half.body:
                yield half.body, header(half.headers, "content-type")
    elif isinstance(message, Query):
        if message.query:
            yield message.query, "application/sql"
    elif isinstance(message, Shell):
        yield message.line, None
    elif isinstance(message, Grpc):
        yield grpc_payload(message)
    elif data := getattr(message, "data", None):
        yield data, None
