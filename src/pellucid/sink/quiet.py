"""One line a message, for `--quiet`: fields set apart by one space, in an order that does not change, for grep and awk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.escape import escape
from pellucid.model import Grpc, Http, OnConnection, Query, RawData, ServerSentEvent, WebSocket
from pellucid.sink.exchanges import status_style
from pellucid.sink.inside import outcome

if TYPE_CHECKING:
    from pellucid.sink.page import Page

_MAX_TEXT = 200
"""Characters of a query: a line is for finding it."""


def quiet_line(page: Page, message: OnConnection) -> str | None:
    """Return the line; None for a message that this view does not know."""
    match message:
        case Http():
            facts = _exchange(page, message)
        case WebSocket():
            facts = escape(f"WS {message.direction} {message.opcode} {message.url or '?'} {message.size}B")
        case ServerSentEvent():
            facts = escape(f"SSE {message.direction} {message.event} {message.url or '?'} {message.size}B")
        case Grpc():
            facts = escape(f"GRPC {message.direction} {message.number} {message.url or '?'} {message.size}B")
        case Query():
            facts = _query(page, message)
        case RawData():
            facts = escape(f"DATA {message.direction} {message.offset} {message.dst or '?'} {message.size}B")
        case _:
            return None
    return f"{page.time(message)} {page.who(message)} {facts}{_error(page, getattr(message, 'error', None))}"


def _exchange(page: Page, message: Http) -> str:
    """Method, URL, status, bytes of the response's body and milliseconds; `-` for what was not seen."""
    request, response = message.request, message.response
    asked = page.paint("request", escape(f"{request.method} {_url(message)}")) if request else "- -"
    status = page.paint(status_style(response.status), str(response.status)) if response else "-"
    size = f"{response.size}B" if response else "-"
    took = "-" if message.duration_ms is None else f"{message.duration_ms:.1f}ms"
    return f"{asked} {status} {size} {took}"


def _url(message: Http) -> str:
    """The whole of it, so that a line can be found by its host."""
    assert message.request is not None
    url, authority = message.request.url, message.request.authority
    if authority is None or not url.startswith("/"):
        return url
    return f"https://{authority}{url}"


def _query(page: Page, message: Query) -> str:
    text = " ".join((message.query or f"({message.kind})").split())
    shown = f"{text[:_MAX_TEXT]}..." if len(text) > _MAX_TEXT else text
    user = f"{message.user or '?'}@{message.database or '?'}"
    failed = page.paint("failure", escape(f" {message.failure.code}")) if message.failure else ""
    return f"SQL {escape(user)} {page.paint('request', escape(shown))}{escape(outcome(message))}{failed}"


def _error(page: Page, error: str | None) -> str:
    return "" if error is None else f" {page.note(f'error: {error}', 'warning')}"
