"""Streams of HTTP/2: each carries one exchange (RFC 9113 section 8.1), and becomes one message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pellucid.model import Headers, Http, Message, Request, Response
from pellucid.parse.bodies.live import LiveBody, body_problems
from pellucid.parse.budget import FIELD_COST
from pellucid.parse.protocol import Held, Upgrade
from pellucid.parse.times import milliseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Direction
    from pellucid.parse.bodies.body import Body
    from pellucid.parse.http2.head import Head
    from pellucid.parse.template import Template

_GRPC = "application/grpc"
_GRPC_FIELD = "grpc-"
"""Names that begin so are gRPC's own (grpc's doc/PROTOCOL-HTTP2.md, Custom-Metadata)."""


_STATUS = re.compile("[0-9]{1,3}")
"""Codes are small (grpc's doc/statuscodes.md, up to 16), and `int` refuses thousands of digits by an exception."""


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

    @property
    def duration(self) -> float:
        """Milliseconds from its first byte to the last so far."""
        return milliseconds(self.ended - self.began) if self.ended > self.began else 0.0

    @property
    def grpc(self) -> bool:
        """It is gRPC's by its content type, or where that is not known by a field that nothing else has."""
        if not self.untyped:
            return self.head.media.startswith(_GRPC)
        return any(name.startswith(_GRPC_FIELD) for name, _ in (*self.head.fields, *self.trailers))

    @property
    def untyped(self) -> bool:
        """Its content type is one of the fields that are not known, or it has none."""
        return self.head.partial and not self.head.media

    def unread(self) -> bytes:
        """The body, where it is whole and was not read while it arrived."""
        if self.body is None or isinstance(self.body, LiveBody):
            return b""
        shown = self.body.show(None)
        if shown.truncated:
            return b""
        return shown.body if isinstance(shown.body, bytes) else shown.body.encode()

    def holds(self) -> Held:
        """Bytes of memory that it takes."""
        trailers = sum(len(name) + len(value) + FIELD_COST for name, value in self.trailers)
        live = self.body.live_cost if isinstance(self.body, LiveBody) else 0
        return Held(self.body.kept if self.body else 0, self.head.cost + trailers + live)

    def fill(self, shown: Request | Response, *, known: bool) -> bool:
        """Put what came into a half of a message; say whether some of the body is not shown."""
        if self.trailers:
            shown.trailers = self.trailers
        if self.head.partial or not known:
            shown.partial = True
        if self.body is None:
            return self.cut is not None
        shown.body, shown.encoding, shown.size, shown.sha256, cut = self.body.show(
            self.head.codings, self.head.media or None
        )
        return cut or self.cut is not None

    def problems(self, name: str) -> Sequence[str]:
        """Say in words what is missing of it."""
        problems = body_problems(self.body, name, self.cut)
        return [f"of the {name} {self.head.problem}", *problems] if self.head.problem else problems


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

    def half(self, *, asks: bool) -> Half | None:
        """The request, or the response."""
        return self.request if asks else self.response

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
    def grpc(self) -> bool:
        """Whether it is a call of gRPC."""
        request, response = self.request, self.response
        return (request is not None and request.grpc) or (response is not None and response.grpc)

    @property
    def finished(self) -> bool:
        """Nothing more of either half comes."""
        request, response = self.request, self.response
        return response is not None and response.complete and (request is None or request.complete)

    @property
    def switches_to(self) -> str | None:
        """The protocol that an extended CONNECT is for (RFC 8441), where the response has agreed to it."""
        if not (self.request and self.response and 200 <= self.response.head.status < 300):
            return None
        return self.request.head.pseudo.get(":protocol")

    def upgrade(self, client: Direction) -> Upgrade:
        """The same as HTTP/1.1 would have it; `client` is the direction of requests."""
        assert self.request is not None
        assert self.response is not None
        return Upgrade(self.switches_to or "", client, _request(self.request)[0], _response(self.response)[0])

    def end(self, reason: str) -> list[Message]:
        """Take nothing more of either half, because of `reason`; return what this shows of live bodies."""
        messages: list[Message] = []
        for half in self.halves:
            if not half.complete:
                messages += half.end(reason)
        if self.response is None:
            self.problem = f"no response before {reason}"
        return messages

    def message(self, template: Template[Http]) -> Http:
        """Make the message of what is there."""
        first = self.request or self.response
        assert first is not None
        grpc = self.grpc
        message = template.copy()
        message.ts = rfc3339(first.began)
        message.protocol = "gRPC" if grpc else "HTTP/2"
        message.stream = self.stream
        message.request = self.given
        if self.request:
            message.request, message.truncated = _request(self.request)
            message.request_ms = self.request.duration
        if self.response:
            message.response, cut = _response(self.response)
            if grpc:
                _add_grpc(message.response, self.response.trailers or self.response.head.fields)
            message.truncated = message.truncated or cut
            message.response_ms = self.response.duration
        if self.pushed:
            message.pushed = True
        message.duration_ms = self._duration()
        message.error = self._error()
        return message

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
    head = half.head
    request = Request(method=head.method, url=head.url, authority=head.authority, headers=head.fields)
    return request, half.fill(request, known=bool(head.method and head.url))


def _response(half: Half) -> tuple[Response, bool]:
    head = half.head
    response = Response(status=head.status, reason="", headers=head.fields)
    return response, half.fill(response, known=head.status > 0)


def _add_grpc(response: Response, fields: Headers) -> None:
    """Add how a call ended: in the trailers, or in the only header section that there is (gRPC over HTTP2, Responses)."""
    for name, value in fields:
        if name == "grpc-status" and _STATUS.fullmatch(value):
            response.grpc_status = int(value)
        elif name == "grpc-message":
            response.grpc_message = unquote(value)
