"""Streams of HTTP/2: each carries one exchange (RFC 9113 section 8.1), and becomes one message."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from msgspec import UNSET, UnsetType

from pellucid.model import Connection, Headers, Http, Message, Request, Response
from pellucid.parse.body import Body, Shown
from pellucid.parse.budget import FIELD_COST
from pellucid.parse.live import LiveBody
from pellucid.parse.protocol import Ending, Held
from pellucid.parse.raw import who
from pellucid.parse.times import milliseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.parse.http2_head import Head

_NO_BODY = Shown()
_GRPC = "application/grpc"


class Half:
    """A request or a response as it arrives; times in nanoseconds since 1970."""

    __slots__ = ("began", "body", "complete", "cut", "ended", "head", "trailers")

    def __init__(self, head: Head, began: int, ended: int) -> None:
        self.head = head
        self.began = began
        self.ended = ended
        """When the last byte so far came."""
        self.body: Body | None = None
        """None until there is a byte of it."""
        self.trailers: Headers = []
        self.complete = False
        """Nothing more of it comes, or is taken."""
        self.cut: str | None = None
        """What happened before it was complete."""

    def end(self, cut: str | None = None) -> Sequence[Message]:
        """Take nothing more; return what reading its body while it arrived has still to show."""
        self.complete = True
        self.cut = cut
        return self.body.end(cut) if isinstance(self.body, LiveBody) else ()

    def holds(self) -> Held:
        """Bytes of memory that it takes."""
        trailers = sum(len(name) + len(value) + FIELD_COST for name, value in self.trailers)
        live = self.body.live_cost if isinstance(self.body, LiveBody) else 0
        return Held(self.body.kept if self.body else 0, self.head.cost + trailers + live)

    @property
    def duration(self) -> float:
        """Milliseconds from its first byte to the last so far."""
        return milliseconds(self.ended - self.began) if self.ended > self.began else 0.0

    def shown(self) -> Shown:
        """Show the body, as far as it came."""
        shown = self.body.show(self.head.codings, self.head.media or None) if self.body else _NO_BODY
        return shown._replace(truncated=True) if self.cut else shown

    def problems(self, name: str) -> list[str]:
        """Say in words what is missing of it."""
        problems = []
        if self.head.problem:
            problems.append(f"of the {name} {self.head.problem}")
        if self.body and self.body.lost:
            problems.append(f"{self.body.lost} bytes of the {name} body were lost")
        if self.cut:
            problems.append(f"the {name} body was incomplete when {self.cut}")
        if self.body and self.body.shortened:
            problems.append(f"the {name} body is cut: {Ending.MEMORY}")
        return problems


class Exchange:
    """What one stream carries."""

    __slots__ = ("given", "problem", "pushed", "request", "response", "stream")

    def __init__(self, stream: int, *, pushed: bool = False, given: Request | None = None) -> None:
        self.stream = stream
        self.request: Half | None = None
        self.response: Half | None = None
        self.pushed = pushed
        self.given = given
        """The request, where it came before HTTP/2 began (RFC 7540 section 3.2)."""
        self.problem: str | None = None

    @property
    def halves(self) -> list[Half]:
        """What there is of the two."""
        return [half for half in (self.request, self.response) if half]

    @property
    def url(self) -> str | None:
        """What is asked for; None where that is not known."""
        if self.request:
            return self.request.head.url or None
        return self.given.url if self.given else None

    @property
    def finished(self) -> bool:
        """Nothing more of either half comes."""
        return (
            self.response is not None
            and self.response.complete
            and (self.request is None or self.request.complete)
        )

    def end(self, reason: str) -> list[Message]:
        """Take nothing more of either half, because of `reason`; return what this shows of live bodies."""
        messages: list[Message] = []
        for half in self.halves:
            if not half.complete:
                messages += half.end(reason)
        if self.response is None:
            self.problem = f"no response before {reason}"
        return messages

    def message(self, connection: Connection) -> Http:
        """Make the message of what is there."""
        first = self.request or self.response
        assert first is not None
        request, request_cut = _request(self.request) if self.request else (self.given, False)
        response, response_cut = _response(self.response) if self.response else (None, False)
        return Http(
            ts=rfc3339(first.began),
            protocol="gRPC" if first.head.media.startswith(_GRPC) else "HTTP/2",
            stream=self.stream,
            request=request,
            response=response,
            pushed=True if self.pushed else UNSET,
            duration_ms=self._duration(),
            request_ms=self.request.duration if self.request else None,
            response_ms=self.response.duration if self.response else None,
            truncated=request_cut or response_cut,
            error=self._error(),
            **who(connection),
        )

    def _duration(self) -> float | None:
        if self.request is None or self.response is None:
            return None
        return milliseconds(self.response.ended - self.request.began)

    def _error(self) -> str | None:
        problems = [self.problem] if self.problem else []
        if self.request:
            problems += self.request.problems("request")
        if self.response:
            problems += self.response.problems("response")
        return "; ".join(problems) or None


def _request(half: Half) -> tuple[Request, bool]:
    shown, head = half.shown(), half.head
    request = Request(
        method=head.method,
        url=head.url,
        authority=head.authority,
        headers=head.fields,
        body=shown.body,
        encoding=shown.encoding,
        size=shown.size,
        sha256=shown.sha256,
        trailers=half.trailers or UNSET,
        partial=_partial(half, known=bool(head.method and head.url)),
    )
    return request, shown.truncated


def _response(half: Half) -> tuple[Response, bool]:
    shown, head = half.shown(), half.head
    response = Response(
        status=head.status,
        reason="",
        headers=head.fields,
        body=shown.body,
        encoding=shown.encoding,
        size=shown.size,
        sha256=shown.sha256,
        trailers=half.trailers or UNSET,
        partial=_partial(half, known=head.status > 0),
    )
    if head.media.startswith(_GRPC):
        _add_grpc(response, half.trailers or head.fields)
    return response, shown.truncated


def _partial(half: Half, *, known: bool) -> bool | UnsetType:
    return True if half.head.partial or not known else UNSET


def _add_grpc(response: Response, fields: Headers) -> None:
    """Add how a call ended: in the trailers, or in the only header section that there is (gRPC over HTTP2, Responses)."""
    for name, value in fields:
        if name == "grpc-status" and value.isdecimal():
            response.grpc_status = int(value)
        elif name == "grpc-message":
            response.grpc_message = unquote(value)
