"""One direction of a WebSocket (RFC 6455): bytes in, messages out, wherever the bytes come from.

HTTP/1 leaves its connection to a WebSocket; in HTTP/2 each stream may be one (RFC 8441). So nothing here knows
of connections: a side is a `Live`, and reads a body that does not end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Direction
from pellucid.parse.bodies.carried import Carried, Live
from pellucid.parse.protocol import Ending
from pellucid.parse.websocket.frames import CONTINUATION, MAX_HEAD, Frame, FrameError, read_frame, unmask
from pellucid.parse.websocket.inflate import Deflate, Inflate, agreed
from pellucid.parse.websocket.message import Pending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Connection, WebSocket
    from pellucid.parse.limits import Limits
    from pellucid.parse.protocol import Upgrade

SIDE_COST = 1024
"""Bytes of a side in the middle of a message, above its payload and the tables of zlib (970 measured)."""

NOT_SEEN = "the handshake was not seen"


def websocket_sides(
    connection: Connection, upgrade: Upgrade, limits: Limits, stream: int | None = None
) -> dict[Direction, Side] | None:
    """Make what reads the two directions after a handshake; `stream` is that of HTTP/2.

    None where the two have agreed on an extension that is not known: nobody can say what frames mean then.
    """
    deflate = agreed(upgrade.response.headers)
    if deflate is None:
        return None
    if (
        upgrade.response.partial is True and not deflate.agreed
    ):  # the field may be one of those that are not known
        deflate = Deflate(agreed=None)
    url = upgrade.request.url if upgrade.request else None
    keeps = dict.fromkeys(Direction, deflate.server_keeps)
    keeps[upgrade.client] = deflate.client_keeps
    return {
        direction: Side(Carried(connection, direction, stream, url, []), limits, deflate.agreed, keeps=kept)
        for direction, kept in keeps.items()
    }


def unknown_sides(connection: Connection, limits: Limits) -> dict[Direction, Side]:
    """Make the same where the handshake was not seen."""
    return {
        direction: Side(Carried(connection, direction, None, None, []), limits, None, keeps=True)
        for direction in Direction
    }


class Side(Live):
    """The frames of one direction. What is no frame ends it: then it is `broken`, and takes nothing more."""

    def __init__(self, carried: Carried, limits: Limits, deflate: bool | None, *, keeps: bool) -> None:
        """`deflate`: the two have agreed to compress, None where nobody knows; `keeps` as in `Inflate`."""
        self.broken: str | None = None
        """Why nothing more can be read."""
        self.rest = b""
        """The last bytes fed, those of them that are in no frame: a head that is not complete, or no head."""
        self._carried = carried
        self._limits = limits
        self._deflate = deflate
        self._inflate = Inflate(keeps=keeps, missing=NOT_SEEN if deflate is None else None)
        self._resumed = deflate is None
        """The next frame may be a later fragment of a message whose beginning was not seen."""
        self._frame: Frame | None = None
        self._left = 0
        """Bytes of its payload that have not come."""
        self._message: Pending | None = None
        """Fragments of a text or binary message."""
        self._control: Pending | None = None

    def feed(self, data: bytes, time: int) -> Sequence[WebSocket]:
        """Take the next bytes; return the messages and control frames that they complete."""
        if self.broken:
            return []
        out: list[WebSocket] = []
        data = self.rest + data
        self.rest = b""
        at = 0
        try:
            while at < len(data):
                if self._frame is None:
                    frame = read_frame(data[at : at + MAX_HEAD])
                    if frame is None:
                        break
                    self._begin(frame)
                    at += frame.head
                at = self._payload(data, at, out, time)
                if self._left:
                    break
        except FrameError as error:
            self.broken = str(error)
        self.rest = data[at:]
        return out

    def lose(self, size: int, time: int) -> Sequence[WebSocket]:
        """Learn that bytes are missing: within one payload it goes on, else nobody knows where a frame begins."""
        if self.broken:
            return []
        within = min(size, self._left)
        if within and self._pending:
            self._pending.lose(within)
            self._left -= within
        out: list[WebSocket] = []
        if self._frame and not self._left:
            self._finish(self._frame, out, time)
        if within < size:
            self.broken = "bytes were lost"
            out += self._cut(time, self.broken)
        return out

    def end(self, time: int, ending: str | None) -> Sequence[WebSocket]:
        """Return what is pending: a WebSocket ends between messages, or has not ended well."""
        return self._cut(time, ending or "the stream ended")

    def resume(self, why: str | None = None) -> None:
        """Take bytes again, at the beginning of a frame; what came before is missing, for the reason given.

        Without one it is what was missing already.
        """
        self.broken = None
        self.rest = b""
        self._resumed = True
        self._inflate.forget(why)

    @property
    def problem(self) -> str | None:
        """Why nothing more is read."""
        return self.broken

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes."""
        return SIDE_COST + self.kept + len(self.rest)

    @property
    def kept(self) -> int:
        """Of these, bytes that `shorten` can give back."""
        pending = sum(each.kept for each in (self._message, self._control) if each)
        return pending + self._inflate.cost

    def shorten(self, most: int) -> None:
        """Keep of payloads, and of what earlier ones are remembered for, no more than `most` bytes."""
        if self._message:
            self._message.shorten(most)
            most -= self._message.kept
        if self._inflate.cost > most:
            if self._message:
                self._message.stop(Ending.MEMORY)
            self._inflate.forget(Ending.MEMORY)

    # --- frames --------------------------------------------------------------------------------------

    @property
    def _pending(self) -> Pending | None:
        """What the payload that is arriving belongs to."""
        return self._control or self._message

    def _begin(self, frame: Frame) -> None:
        """Take the head of a frame. Raises `FrameError` where it cannot follow what came before."""
        if frame.compressed and self._deflate is False:
            raise FrameError("compression that nobody has agreed on")
        if frame.control:
            self._control = Pending(frame.opcode, self._limits)
        elif (frame.opcode == CONTINUATION) is not (self._message is not None) and not self._resumed:
            raise FrameError("fragments out of order")
        elif frame.opcode != CONTINUATION or self._message is None:
            inflate = self._inflate if frame.compressed else None
            plain = frame.opcode != CONTINUATION or self._deflate is False
            self._message = Pending(frame.opcode, self._limits, inflate, plain=plain)
        self._resumed = self._resumed and frame.control
        self._frame = frame
        self._left = frame.size

    def _payload(self, data: bytes, at: int, out: list[WebSocket], time: int) -> int:
        """Pass on what there is of the payload; return the index after it."""
        assert self._frame is not None
        assert self._pending is not None
        piece = data[at : at + self._left]
        if piece:
            self._pending.add(unmask(piece, self._frame.key, self._frame.size - self._left))
            self._left -= len(piece)
        if not self._left:
            self._finish(self._frame, out, time)
        return at + len(piece)

    def _finish(self, frame: Frame, out: list[WebSocket], time: int) -> None:
        """Take note that a frame is complete, and show the message that it ends."""
        self._frame = None
        pending = self._pending
        if frame.final and pending:
            pending.end()
            out.append(pending.message(self._carried, time, None))
            if frame.control:
                self._control = None
            else:
                self._message = None

    def _cut(self, time: int, ending: str) -> list[WebSocket]:
        """Show what is pending as far as it came."""
        pending = [each for each in (self._message, self._control) if each]
        self._inflate.forget(ending)
        self._frame = self._message = self._control = None
        self._left = 0
        return [each.message(self._carried, time, ending) for each in pending]
