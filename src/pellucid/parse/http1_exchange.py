"""A request and its response as they arrive, and the message they become."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import UNSET, UnsetType

from pellucid.model import Connection, Headers, Http, Request, Response
from pellucid.parse.body import Shown
from pellucid.parse.http1_framing import Chunked, Framing
from pellucid.parse.http1_head import RequestHead, ResponseHead
from pellucid.parse.protocol import Ending, Held
from pellucid.parse.raw import who
from pellucid.parse.times import milliseconds, rfc3339

_NO_BODY = Shown()

H = TypeVar("H", RequestHead, ResponseHead)


def switches(method: str | None, status: int) -> bool:
    """Say whether another protocol follows (RFC 9110 sections 15.2.2 and 9.3.6)."""
    return status == 101 or (method == "CONNECT" and 200 <= status < 300)


class Part(Generic[H]):
    """One half of an exchange; times in nanoseconds since 1970."""

    __slots__ = ("began", "complete", "cut", "ended", "framing", "head")

    def __init__(self, head: H, framing: Framing | None, began: int, ended: int) -> None:
        self.head: H = head
        self.framing = framing
        """None where there can be no body."""
        self.began = began
        self.ended = ended
        """When the last byte so far came."""
        self.complete = False
        self.cut: str | None = None
        """What happened before the body was complete."""

    def shown(self) -> Shown:
        """Show the body, as far as it came."""
        if self.framing is None:
            return _NO_BODY
        shown = self.framing.body.show(self.head.codings, self.head.fields.type)
        return shown._replace(truncated=True) if self.cut else shown

    def holds(self) -> Held:
        """Bytes of memory that this half takes."""
        if self.framing is None:
            return Held(0, self.head.cost)
        return Held(self.framing.body.kept, self.head.cost + self.framing.cost)

    def trailers(self) -> Headers | UnsetType:
        """Return the trailer fields, unset where there are none."""
        trailers = self.framing.trailers if isinstance(self.framing, Chunked) else []
        return trailers or UNSET

    def problems(self, name: str) -> list[str]:
        """Say in words what is missing of this half."""
        problems = []
        body = self.framing.body if self.framing else None
        if body and body.lost:
            problems.append(f"{body.lost} bytes of the {name} body were lost")
        if self.cut:
            problems.append(f"the {name} body was incomplete when {self.cut}")
        if body and body.shortened:
            problems.append(f"the {name} body is cut: {Ending.MEMORY}")
        return problems


AnyPart = Part[RequestHead] | Part[ResponseHead]


class Exchange:
    """A request, its response, or both."""

    __slots__ = ("problem", "request", "response")

    def __init__(self, request: Part[RequestHead] | None = None, problem: str | None = None) -> None:
        self.request = request
        self.response: Part[ResponseHead] | None = None
        self.problem = problem
        """Why one half is missing."""

    @property
    def method(self) -> str | None:
        """The request's method, None where the request is not known."""
        return self.request.head.method if self.request else None

    @property
    def sent(self) -> bool:
        """Nothing more of the request comes."""
        return self.request is None or self.request.complete

    @property
    def parts(self) -> list[AnyPart]:
        """What there is of the two halves."""
        return [part for part in (self.request, self.response) if part is not None]

    @property
    def finished(self) -> bool:
        """Nothing more of either half comes."""
        return self.sent and self.response is not None and self.response.complete

    @property
    def switched(self) -> bool:
        """The response says that another protocol follows."""
        return self.response is not None and switches(self.method, self.response.head.status)

    def unanswered(self, ending: Ending | str) -> None:
        """Say that no response came before `ending`, if none did."""
        if self.response is None:
            self.problem = f"no response before {ending}"

    def message(self, connection: Connection) -> Http:
        """Make the message of what is there."""
        first = self.request or self.response
        assert first is not None
        request, request_cut = _request(self.request) if self.request else (None, False)
        response, response_cut = _response(self.response) if self.response else (None, False)
        return Http(
            ts=rfc3339(first.began),
            protocol=first.head.version,
            request=request,
            response=response,
            duration_ms=self._duration(),
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


def _request(part: Part[RequestHead]) -> tuple[Request, bool]:
    shown = part.shown()
    request = Request(
        method=part.head.method,
        url=part.head.url,
        authority=part.head.authority,
        headers=part.head.fields.fields,
        body=shown.body,
        encoding=shown.encoding,
        size=shown.size,
        sha256=shown.sha256,
        trailers=part.trailers(),
    )
    return request, shown.truncated


def _response(part: Part[ResponseHead]) -> tuple[Response, bool]:
    shown = part.shown()
    response = Response(
        status=part.head.status,
        reason=part.head.reason,
        headers=part.head.fields.fields,
        body=shown.body,
        encoding=shown.encoding,
        size=shown.size,
        sha256=shown.sha256,
        trailers=part.trailers(),
    )
    return response, shown.truncated
