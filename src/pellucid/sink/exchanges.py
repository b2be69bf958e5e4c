"""An HTTP exchange as a paragraph of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from pellucid.escape import escape
from pellucid.sink.page import header
from pellucid.sink.payload import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Http, Request, Response
    from pellucid.sink.page import Page
    from pellucid.sink.style import Style

GRPC_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""By number, from 0 (grpc's doc/statuscodes.md)."""


def exchange_lines(page: Page, message: Http) -> Iterator[str]:
    """Heading, request, response, what is missing, and an empty line."""
    stream = f" stream {message.stream}" if message.stream is not None else ""
    pushed = " pushed" if message.pushed is True else ""
    took = "" if message.duration_ms is None else f" {message.duration_ms:.1f} ms"
    yield page.heading(message, f"{message.protocol}{stream}{pushed}{took}")
    if message.request is None:
        yield page.note("no request seen")
    else:
        yield from _request(page, message.request, message.protocol)
    if message.response is None:
        yield page.note("no response seen")
    else:
        yield from _response(page, message.response, message.protocol)
    said = message.error is not None and "body was incomplete" in message.error
    yield from page.endings(truncated=message.truncated and not said, error=message.error, what="a body")
    yield ""


def status_style(status: int) -> Style:
    """Colour by class of status code (RFC 9110 section 15)."""
    if status < 400:
        return "success"
    return "attention" if status < 500 else "failure"


def _request(page: Page, request: Request, protocol: str) -> Iterator[str]:
    mark = page.paint("request", ">")
    yield f"{mark} {page.paint('request', escape(f'{request.method} {request.url} {protocol}'))}"
    if request.authority and not header(request.headers, "host"):
        yield from page.headers(mark, [(":authority", request.authority)])
    yield from _rest(page, mark, request)


def _response(page: Page, response: Response, protocol: str) -> Iterator[str]:
    style = status_style(response.status)
    mark = page.paint(style, "<")
    line = f"{protocol} {response.status} {response.reason}".rstrip()
    yield f"{mark} {page.paint(style, escape(line))}"
    yield from _rest(page, mark, response)
    if response.grpc_status is not UNSET:
        yield _grpc_status(page, response, response.grpc_status)


def _rest(page: Page, mark: str, half: Request | Response) -> Iterator[str]:
    """What follows a start line: headers, body and trailers, each set apart by a bare mark."""
    yield from page.headers(mark, half.headers)
    if half.partial is True:
        yield page.note("header fields are missing: they were sent before the capture began", "attention")
    if half.body:
        yield mark
        yield from page.payload(half.body, header(half.headers, "content-type"), size=half.size)
    if half.sha256 is not UNSET:
        yield page.note(f"{count(half.size, 'byte')} sent, SHA-256 {half.sha256}")
    if half.trailers is not UNSET:
        yield mark
        yield from page.headers(mark, half.trailers)


def _grpc_status(page: Page, response: Response, code: int) -> str:
    name = GRPC_CODES[code] if code < len(GRPC_CODES) else "an unknown code"
    words = f": {response.grpc_message}" if response.grpc_message else ""
    return page.note(f"gRPC status {code}, {name}{words}", "failure" if code else "success")
