"""Dialogues of HTTP/2 connections, for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dialogue import Dialogue

from pellucid.model import Http
from pellucid.parse.http1.parser import Http1
from pellucid.parse.http2.parser import Http2

if TYPE_CHECKING:
    from frames import Pair

OK = (":status", "200")


def dialogue(**options) -> Dialogue:
    return Dialogue(parsers=(Http1, Http2), **options)


def begun(pair: Pair, **options) -> Dialogue:
    """A connection after both have said hello."""
    return dialogue(**options) >> pair.hello << pair.welcome


def only(messages) -> Http:
    (message,) = messages
    assert isinstance(message, Http)
    return message


def shown(messages):
    """Return stream, url, status and response body of each exchange, other messages by their type."""
    return [
        (
            m.stream,
            m.request and m.request.url,
            m.response and m.response.status,
            m.response and m.response.body,
        )
        if isinstance(m, Http)
        else type(m).__name__
        for m in messages
    ]
