"""A request and its response as they arrive, and the message they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from pellucid.model import Request, Response
from pellucid.parse.bodies.carried import Carried
from pellucid.parse.bodies.live import LiveBody, body_problems
from pellucid.parse.http1.framing import Chunked, Framing
from pellucid.parse.http1.head import RequestHead, ResponseHead
from pellucid.parse.protocol import Ending, Held, Upgrade
from pellucid.parse.readers import reader_of
from pellucid.parse.times import milliseconds, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Connection, Direction, Http
    from pellucid.parse.limits import Limits
    from pellucid.parse.template import Template

H = TypeVar("H", RequestHead, ResponseHead)


def switches(method: str | None, status: int) -> bool:
    """Say whether another protocol follows (RFC 9110 sections 15.2.2 and 9.3.6)."""
    return status == 101 or (method == "CONNECT" and 200 <= status < 300)


class Part(Generic[H]):
    """One half of an exchange; times in nanoseconds since 1970."""

    __slots__ = ("began", "complete", "cut", "ended", "framing", "head", "live")

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
        self.live: LiveBody | None = None
        """The framing's body, where it is read while it arrives."""

    @property
    def duration(self) -> float:
        """Milliseconds from its first byte to the last so far."""
        return milliseconds(self.ended - self.began) if self.ended > self.began else 0.0

    def read_live(
        self, connection: Connection, direction: Direction, url: str | None, limits: Limits
    ) -> None:
        """Have the body, of which nothing has come yet, read while it arrives, where its media type asks for it and
        nothing but chunks wraps it.
        """
        fields = self.head.fields
        reader = reader_of(fields.media) if fields.media else None
        if reader and fields.transfer in {None, "chunked"}:
            assert self.framing is not None
            live = reader(Carried(connection, direction, None, url, fields.fields), limits)
            self.framing.body = self.live = LiveBody(limits, live, self.ended)

    def fill(self, half: Request | Response) -> bool:
        """Put the body into a half of a message, as far as it came; say whether some of it is not shown."""
        framing = self.framing
        if framing is None:
            return False
        shown = framing.body.show(self.head.codings, self.head.fields.media)
        half.body, half.encoding, half.size, half.sha256, cut = shown
        if isinstance(framing, Chunked) and framing.trailers:
            half.trailers = framing.trailers
        return cut or self.cut is not None

    def holds(self) -> Held:
        """Bytes of memory that this half takes."""
        if self.framing is None:
            return Held(0, self.head.cost)
        live = self.live.live_cost if self.live else 0
        return Held(self.framing.body.kept, self.head.cost + self.framing.cost + live)

    def problems(self, name: str) -> Sequence[str]:
        """Say in words what is missing of this half."""
        return body_problems(self.framing.body if self.framing else None, name, self.cut)


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
    def began(self) -> int:
        """When the first byte of the request came; 0 where it is not known."""
        return self.request.began if self.request else 0

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
        request, response = self.request, self.response
        return response is not None and response.complete and (request is None or request.complete)

    @property
    def switched(self) -> bool:
        """The response says that another protocol follows."""
        return self.response is not None and switches(self.method, self.response.head.status)

    def upgrade(self, client: Direction) -> Upgrade | None:
        """What both ends have agreed on, where the response `switched`: by its Upgrade field, or a tunnel.

        None where the request goes on: nobody can say where it ends and the other protocol begins.
        """
        if self.response is None or not self.sent:
            return None
        request = _request(self.request)[0] if self.request else None
        response, _ = _response(self.response)
        names = [value for name, value in response.headers if name.lower() == "upgrade"]
        name = ", ".join(names).strip().lower() if response.status == 101 else "connect"
        return Upgrade(name, client, request, response)

    def unanswered(self, ending: Ending | str) -> None:
        """Say that no response came before `ending`, if none did."""
        if self.response is None:
            self.problem = f"no response before {ending}"

    def message(self, template: Template[Http]) -> Http:
        """Make the message of what is there."""
        first = self.request or self.response
        assert first is not None
        message = template.copy()
        message.ts = rfc3339(first.began)
        message.protocol = first.head.version
        if self.request:
            message.request, message.truncated = _request(self.request)
            message.request_ms = self.request.duration
        if self.response:
            message.response, cut = _response(self.response)
            message.truncated = message.truncated or cut
            message.response_ms = self.response.duration
        message.duration_ms = self._duration()
        message.error = self._error()
        return message

    def _duration(self) -> float | None:
        if self.request is None or self.response is None:
            return None
        return milliseconds(self.response.ended - self.request.began)

    def _error(self) -> str | None:
        problems = [self.problem] if self.problem else []
        if self.request and self.request.framing:
            problems += self.request.problems("request")
        if self.response and self.response.framing:
            problems += self.response.problems("response")
        return "; ".join(problems) or None


def _request(part: Part[RequestHead]) -> tuple[Request, bool]:
    head = part.head
    request = Request(method=head.method, url=head.url, authority=head.authority, headers=head.fields.fields)
    return request, part.fill(request)


def _response(part: Part[ResponseHead]) -> tuple[Response, bool]:
    head = part.head
    response = Response(status=head.status, reason=head.reason, headers=head.fields.fields)
    return response, part.fill(response)
