"""Messages that an exchange carries, and queries, as paragraphs of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from pellucid.escape import escape
from pellucid.sink.payload import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Grpc, Inside, Query, QueryShape, ServerSentEvent, Text, WebSocket
    from pellucid.sink.page import Page


def websocket_lines(page: Page, message: WebSocket) -> Iterator[str]:
    """Show one message, or a control frame; binary data that is no hex dump is said in the heading."""
    code = "" if message.code is UNSET else f" {message.code}"
    size = f" {count(message.size, 'byte')}" if message.size or message.code is UNSET else ""
    yield page.heading(message, f"WebSocket {message.direction} {message.opcode}{code}{size}{_on(message)}")
    yield from _rest(page, message, "the message")


def _rest(page: Page, message: WebSocket | ServerSentEvent, what: str) -> Iterator[str]:
    """What follows a heading. Where nothing does, the heading is a line by itself."""
    digest = getattr(message, "sha256", UNSET)
    lines: list[str] = []
    if message.data and (isinstance(message.data, str) or page.options.hex):
        lines += page.payload(message.data)
    if digest is not UNSET:
        lines.append(page.note(f"{count(message.size, 'byte')} in all, SHA-256 {digest}"))
    lines += page.endings(truncated=message.truncated, error=getattr(message, "error", None), what=what)
    yield from lines
    if lines:
        yield ""


def event_lines(page: Page, message: ServerSentEvent) -> Iterator[str]:
    """Show one server-sent event."""
    id_ = f" id {message.id}" if message.id else ""
    retry = "" if message.retry is UNSET else f" retry {message.retry} ms"
    yield page.heading(
        message,
        f"event {message.direction} {message.event}{id_}{retry} {count(message.size, 'byte')}{_on(message)}",
    )
    yield from _rest(page, message, "the event")


def grpc_lines(page: Page, message: Grpc) -> Iterator[str]:
    """Show one message of a call: by its fields where it can be read, else its bytes."""
    schema = "" if message.schema is UNSET else f" {message.schema}"
    coding = "" if message.compression is UNSET else f" {message.compression}"
    yield page.heading(
        message,
        f"gRPC {message.direction} message {message.number}{schema} {count(message.size, 'byte')}{coding}{_on(message)}",
    )
    data, media = grpc_payload(message)
    if page.options.hex:
        yield from page.payload(message.data)
    elif data:
        yield from page.payload(data, media)
    if message.trailers is not UNSET:
        yield from page.headers(" ", message.trailers)
    yield from page.endings(truncated=message.truncated, error=message.error, what="the message")
    yield ""


def grpc_payload(message: Grpc) -> tuple[Text, str | None]:
    """Return what a message says, as JSON, and its media type; where it could not be read the bytes."""
    if message.message is None:
        return message.data, None
    return _json(message.message), "application/json"


def query_lines(page: Page, message: Query) -> Iterator[str]:
    """Show one command to a database: whose, its text, and what became of it."""
    user = f"{message.user or '?'}@{message.database or '?'}"
    yield page.heading(message, f"{message.server} {message.kind} {user}{outcome(message)}")
    if message.query:
        yield from page.payload(message.query, "application/sql")
    if message.parameters is not UNSET and page.options.view != "headers":
        values = ", ".join(_json(value) for value in message.parameters)
        yield page.note(f"parameters: {values}" if values else "no parameters")
    if message.failure is not None:
        yield page.note(f"refused: {message.failure.code} {message.failure.message}", "failure")
    yield from page.endings(truncated=message.truncated, error=message.error, what="the query")
    yield ""


def shape_lines(page: Page, message: QueryShape) -> Iterator[str]:
    """Show what queries of one shape took together."""
    took = ""
    if message.p50_ms is not None and message.p99_ms is not None:
        took = f", {message.total_ms:.1f} ms in all, p50 {message.p50_ms:g} ms, p99 {message.p99_ms:g} ms"
    errors = f", {count(message.errors, 'error')}" if message.errors else ""
    facts = f"{message.server} {count(message.count, 'time')}{took}, {count(message.rows, 'row')}{errors}"
    yield f"{page.time(message)} {page.paint('who', escape(facts))}"
    yield from page.payload(message.shape or "(further shapes)", "application/sql")
    yield ""


def outcome(message: Query) -> str:
    """Say how many rows a query had, and how long it took, as far as known."""
    rows = "" if message.rows is None else f" {count(message.rows, 'row')}"
    took = "" if message.duration_ms is None else f" {message.duration_ms:.1f} ms"
    return rows + took


def _on(message: Inside) -> str:
    stream = "" if message.stream is None else f" stream {message.stream}"
    return f"{stream} on {message.url or '?'}"


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can escape
        return escape(json.dumps(value))
