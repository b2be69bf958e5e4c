"""The least that could be called the same as Pellucid's way from bytes to JSON: what `bench/replay.py` compares with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httptools
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Half:
    """What llhttp says of one direction of a connection."""

    def __init__(self, done: Callable[[Half], None], *, request: bool) -> None:
        self.headers: list[tuple[str, str]] = []
        self.url = ""
        self.body = b""
        self._done = lambda: done(self)
        self.parser = (httptools.HttpRequestParser if request else httptools.HttpResponseParser)(self)

    def on_message_begin(self) -> None:
        """Forget the message before."""
        self.headers, self.url, self.body = [], "", b""

    def on_url(self, url: bytes) -> None:
        """Keep it as text."""
        self.url += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it as text."""
        self.headers.append((name.decode(), value.decode()))

    def on_body(self, body: bytes) -> None:
        """Collect it."""
        self.body += body

    def on_message_complete(self) -> None:
        """Say so."""
        self._done()


class Reference:
    """The loop that is compared with."""

    def __init__(self) -> None:
        self.exchanges = 0
        self._encode = msgspec.json.Encoder().encode
        self._requests: dict[int, dict[str, Any]] = {}
        self._halves: dict[tuple[int, bool], Half] = {}

    def run(self, pieces: Iterable[tuple[int, bool, bytes]]) -> None:
        """Parse pieces of (connection, is it of the client, bytes)."""
        halves = self._halves
        for connection, request, data in pieces:
            half = halves.get((connection, request))
            if half is None:
                half = halves[connection, request] = self._half(connection, request=request)
            half.parser.feed_data(data)

    @property
    def unanswered(self) -> int:
        """Requests that wait; Pellucid shows them too."""
        return len(self._requests)

    def _half(self, connection: int, *, request: bool) -> Half:
        def requested(half: Half) -> None:
            self._requests[connection] = {
                "method": half.parser.get_method().decode(), "url": half.url, "headers": half.headers,
                "body": half.body.decode(), "size": len(half.body),
            }  # fmt: skip

        def answered(half: Half) -> None:
            self._encode(
                {
                    "type": "http", "conn": connection, "request": self._requests.pop(connection),
                    "response": {
                        "status": half.parser.get_status_code(), "headers": half.headers,
                        "body": half.body.decode(), "size": len(half.body),
                    },
                }
            )  # fmt: skip
            self.exchanges += 1

        return Half(requested if request else answered, request=request)
