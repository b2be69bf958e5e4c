"""How the body of a message is told from what follows it (RFC 9112 section 6.3, "Message Body Length")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.parse.bodies.body import Body
from pellucid.parse.http1.exchange import switches
from pellucid.parse.http1.fields import HeadError
from pellucid.parse.http1.framing import Chunked, Framing, Sized, UntilClose

if TYPE_CHECKING:
    from pellucid.parse.http1.head import Head, RequestHead, ResponseHead
    from pellucid.parse.limits import Limits


def request_framing(head: RequestHead, limits: Limits) -> Framing | None:
    """Choose by items 3 to 7; None where there is no body. Raises `HeadError`."""
    fields = head.fields
    if fields.transfer is None and fields.length is None:
        return None  # most requests
    if fields.transfer is not None and not head.chunked:
        raise HeadError("a request whose body has no end")
    return _framing(head, limits)


def response_framing(head: ResponseHead, method: str | None, limits: Limits) -> Framing | None:
    """Choose by items 1, 2, 4 and 8, for the response to a request with this method."""
    if method == "HEAD" or head.status in {204, 304} or switches(method, head.status):
        return None
    return _framing(head, limits) or UntilClose(Body(limits))


def _framing(head: Head, limits: Limits) -> Framing | None:
    if head.fields.transfer is not None:
        return Chunked(Body(limits), limits.max_head) if head.chunked else None
    if head.fields.length is not None:
        return Sized(head.fields.length, Body(limits))
    return None
