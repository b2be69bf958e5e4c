"""One WebSocket message as it arrives, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from pellucid.model import WebSocket
from pellucid.parse.bodies.body import Body, Shown
from pellucid.parse.protocol import Ending
from pellucid.parse.raw import DIRECTIONS, who
from pellucid.parse.text import readable
from pellucid.parse.times import rfc3339
from pellucid.parse.websocket.frames import CLOSE, CONTINUATION, NAMES, TEXT
from pellucid.parse.websocket.inflate import Inflate, InflateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.parse.bodies.carried import Carried
    from pellucid.parse.limits import Limits


class Pending:
    """A message that is arriving: one control frame, or the fragments of one text or binary message."""

    __slots__ = ("_body", "_inflate", "_problem", "_sent", "_short", "_unread", "opcode")

    def __init__(
        self, opcode: int, limits: Limits, inflate: Inflate | None = None, *, plain: bool = True
    ) -> None:
        """`plain`: it is known not to be compressed, where there is nothing to `inflate` it."""
        self.opcode = opcode
        self._inflate = inflate
        """None for a message that is not compressed, or cannot be read any further."""
        self._sent = Body(limits)
        """What came, unmasked."""
        self._body = Body(limits) if inflate else self._sent
        """What is shown."""
        self._unread = not (inflate or plain)
        """What is shown may be compressed: nothing that was understood."""
        self._short = opcode == CONTINUATION
        """There is more of it than what came out."""
        self._problem = "its beginning was not seen" if opcode == CONTINUATION else None

    @property
    def kept(self) -> int:
        """Bytes of memory that the payload takes."""
        return self._sent.kept + (0 if self._body is self._sent else self._body.kept)

    def shorten(self, most: int) -> None:
        """Keep no more than the first `most` bytes."""
        self._body.shorten(most)
        if self._sent is not self._body:
            self._sent.shorten(max(most - self._body.kept, 0))

    def add(self, piece: bytes) -> None:
        """Take the next bytes of the payload."""
        self._sent.add(piece)
        if self._inflate:
            self._decompress(self._inflate.add(piece))

    def lose(self, size: int) -> None:
        """Count bytes of the payload that are missing here."""
        self._sent.lose(size)
        if self._inflate:
            self.stop("bytes were lost")

    def end(self) -> None:
        """Nothing more of the payload comes: it is complete."""
        if self._inflate:
            self._decompress(self._inflate.end())

    def stop(self, why: str) -> None:
        """Decompress no further: what there is so far is shown."""
        if self._inflate:
            self._inflate.forget(why)
            self._inflate = None
            self._short = True
            self._problem = f"compressed, and {why}"

    def _decompress(self, pieces: Iterator[bytes]) -> None:
        assert self._inflate is not None
        try:
            for piece in pieces:
                self._body.add(piece)
        except InflateError as error:
            self._inflate.forget()
            self._inflate = None
            self._body = self._sent  # nothing that came out of it is sure
            self._unread = True
            self._problem = f"compressed, and {error}"

    def message(self, carried: Carried, time: int, ending: str | None) -> WebSocket:
        """Make the message of what is there; `ending` is what came before it was complete."""
        shown = self._body.show(None)
        if self._unread and isinstance(shown.body, str):
            shown = shown._replace(body=shown.body.encode(), encoding="base64")
        problems = [f"incomplete when {ending}"] if ending else []
        problems += self._problems(shown)
        code: int | UnsetType = UNSET
        if self.opcode == CLOSE and shown.size > 1 and not self._body.lost:
            code, shown = _close(shown)
        return WebSocket(
            ts=rfc3339(time),
            stream=carried.stream,
            url=carried.url,
            direction=DIRECTIONS[carried.direction],
            opcode=NAMES[self.opcode],
            data=shown.body,
            encoding=shown.encoding,
            size=shown.size,
            sha256=shown.sha256,
            code=code,
            truncated=shown.truncated or self._short or ending is not None,
            error="; ".join(problems) or None,
            **who(carried.connection),
        )

    def _problems(self, shown: Shown) -> list[str]:
        problems = [self._problem] if self._problem else []
        if self._sent.lost:
            problems.append(f"{self._sent.lost} bytes of its payload were lost")
        if self._body.shortened:
            problems.append(f"cut: {Ending.MEMORY}")
        if self.opcode == TEXT and shown.encoding is not UNSET and not (problems or shown.truncated):
            problems.append("a text that is not UTF-8")
        if self.opcode == CLOSE and shown.size == 1:
            problems.append("a status code of one byte")
        return problems


def _close(shown: Shown) -> tuple[int, Shown]:
    """Split a close into its status code and the words to it (RFC 6455 section 5.5.1)."""
    payload = shown.body if isinstance(shown.body, bytes) else shown.body.encode()
    words, encoding = readable(payload[2:])
    return int.from_bytes(payload[:2], "big"), shown._replace(body=words, encoding=encoding)
