"""Which bodies are read while they arrive, and by whom: HTTP of every version asks here."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pellucid.parse.bodies.events import EventStream
from pellucid.parse.grpc.messages import GrpcBody, GrpcWebBody, GrpcWebTextBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse.bodies.carried import Carried, Live
    from pellucid.parse.limits import Limits

    Reader = Callable[[Carried, Limits], Live]

_READERS: dict[str, Reader] = {
    "application/grpc": GrpcBody,
    "application/grpc-web": GrpcWebBody,
    "application/grpc-web-text": GrpcWebTextBody,
    "text/event-stream": EventStream,
}
"""By the media type without parameters or suffix (`application/grpc` for `application/grpc+proto`)."""


def live_body(carried: Carried, limits: Limits) -> Live | None:
    """Choose by the Content-Type field; None for a body that is only shown whole."""
    media = (value for name, value in carried.headers if len(name) == 12 and name.lower() == "content-type")
    reader = reader_of(next(media, ""))
    return reader(carried, limits) if reader else None


@lru_cache(maxsize=256)
def reader_of(content_type: str) -> Reader | None:
    """What reads a body of this type; nearly every exchange asks, and gets None."""
    media = content_type.partition(";")[0].partition("+")[0]
    return _READERS.get(media.strip().lower())
