"""Server-Sent Events: a `text/event-stream` (HTML Living Standard section 9.2) read while it arrives."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from pellucid.model import ServerSentEvent
from pellucid.parse.bodies.carried import Carried, Live
from pellucid.parse.bodies.coding_streams import CodingError, coding_stream
from pellucid.parse.raw import DIRECTIONS, who
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.parse.limits import Limits

_LINE_END = re.compile(rb"\r\n|\n|\r")

_MAX_NAME = 16
"""Bytes of a byte order mark, the longest field name, its colon and a space."""

_MAX_RETRY = 15
"""Digits: 30,000 years in milliseconds."""

_COST = 2048
"""Bytes of a stream above its text."""


class Cut:
    """Bytes of which no more than the first `most` are kept, and all counted."""

    __slots__ = ("_most", "kept", "size")

    def __init__(self, most: int) -> None:
        self._most = most
        self.kept = bytearray()
        self.size = 0

    def add(self, piece: bytes, uncut: int | None = None) -> None:
        """Take the next bytes, which were `uncut` before somebody else has cut them."""
        self.kept += piece[: self._most - len(self.kept)]
        self.size += len(piece) if uncut is None else uncut

    def shorten(self, most: int) -> None:
        """Keep no more than the first `most` bytes from here on."""
        self._most = min(self._most, most)
        del self.kept[most:]

    @property
    def cut(self) -> bool:
        """Not all is kept."""
        return self.size > len(self.kept)


class Event:
    """An event that is arriving."""

    __slots__ = ("begun", "data", "name", "retry")

    def __init__(self, most: int) -> None:
        self.begun = False
        """A line of data has come; without one there is no event."""
        self.data = Cut(most)
        self.name = ""
        self.retry: int | UnsetType = UNSET

    def add(self, line: bytes, uncut: int) -> None:
        """Take a line of data."""
        if self.begun:
            self.data.add(b"\n")
        self.data.add(line, uncut)
        self.begun = True


class EventStream(Live):
    """Shows each event when the empty line that ends it has come."""

    def __init__(self, carried: Carried, limits: Limits) -> None:
        self._carried = carried
        self._max = limits.max_body
        coding = next(
            (value for name, value in carried.headers if name.lower() == "content-encoding"), "identity"
        )
        self._coding = coding_stream(coding)
        self._over = self._coding is None and coding.strip().lower() not in {"", "identity"}
        """Nothing more can be read: the coding is not known, or broken."""
        self._problem: str | None = None
        self._first = True
        """The line that arrives may begin with a byte order mark."""
        self._line = self._new_line()
        self._ended_by_cr = False
        """A LF that comes next belongs to the end of the line before."""
        self._torn = False
        """The line that arrives has lost its beginning."""
        self._skipping = False
        """So has the event."""
        self._event = Event(self._max)
        self._id: str | UnsetType = UNSET

    def feed(self, data: bytes, time: int) -> Sequence[ServerSentEvent]:
        """Take the next bytes of the body; return the events that they complete."""
        events: list[ServerSentEvent] = []
        if self._over:
            return events
        try:
            for piece in self._coding.decode(data) if self._coding else [data]:
                self._text(piece, events, time)
        except CodingError as error:
            events += self.lose(0, time)
            self._over = True  # the body itself is shown in its exchange
            self._problem = str(error)
        return events

    def lose(self, size: int, time: int) -> Sequence[ServerSentEvent]:  # noqa: ARG002  # any hole is as bad
        """Show what there is of an event, and go on behind the next empty line, where codings allow it."""
        events = [self._message(time, torn=True)] if self._event.begun else []
        self._event = Event(self._max)
        self._line = self._new_line()
        self._torn = self._skipping = True
        self._ended_by_cr = False
        self._over = self._over or self._coding is not None
        return events

    def end(self, time: int, ending: str | None) -> Sequence[ServerSentEvent]:  # noqa: ARG002  # Live asks so
        """An event without the empty line behind it is none (section 9.2.6)."""
        return []

    @property
    def problem(self) -> str | None:
        """What is wrong with the coding."""
        return self._problem

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes."""
        names = len(self._event.name) + len(self._id or "")
        return _COST + self.kept + names + (self._coding.cost if self._coding else 0)

    @property
    def kept(self) -> int:
        """Of these, bytes that `shorten` can give back."""
        return len(self._line.kept) + len(self._event.data.kept)

    def shorten(self, most: int) -> None:
        """Keep no more than `most` bytes of an event, and of its lines what tells fields apart."""
        self._event.data.shorten(most)
        self._line.shorten(max(most - len(self._event.data.kept), _MAX_NAME))

    def _new_line(self) -> Cut:
        return Cut(self._max + _MAX_NAME)

    def _text(self, data: bytes, events: list[ServerSentEvent], time: int) -> None:
        """Take text in UTF-8, a line of which may end with CR, LF or both, in different pieces."""
        if data and self._ended_by_cr:
            data = data.removeprefix(b"\n")
            self._ended_by_cr = False
        at = 0
        for end in _LINE_END.finditer(data):
            self._line.add(data[at : end.start()])
            at = end.end()
            self._line_end(events, time)
        self._line.add(data[at:])
        self._ended_by_cr = data.endswith(b"\r") or (self._ended_by_cr and not data)

    def _line_end(self, events: list[ServerSentEvent], time: int) -> None:
        line, self._line = self._line, self._new_line()
        if self._first and line.kept.startswith(codecs.BOM_UTF8):
            del line.kept[: len(codecs.BOM_UTF8)]
            line.size -= len(codecs.BOM_UTF8)
        self._first = False
        if self._torn:
            self._torn = False
        elif line.kept:
            if not self._skipping:
                self._field(line)
        else:
            if self._event.begun:
                events.append(self._message(time, torn=False))
            self._event = Event(self._max)
            self._skipping = False

    def _field(self, line: Cut) -> None:
        """Take a field; a comment is one without a name."""
        name, _, value = bytes(line.kept).partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._event.add(value, line.size - len(line.kept) + len(value))
            case b"event":
                self._event.name = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case b"retry" if value.isdigit() and len(value) <= _MAX_RETRY:
                self._event.retry = int(value)

    def _message(self, time: int, *, torn: bool) -> ServerSentEvent:
        event, carried = self._event, self._carried
        text, _ = codecs.utf_8_decode(event.data.kept, "replace", not event.data.cut)
        return ServerSentEvent(
            ts=rfc3339(time),
            stream=carried.stream,
            url=carried.url,
            direction=DIRECTIONS[carried.direction],
            event=event.name or "message",
            id=self._id,
            data=text,
            size=event.data.size,
            retry=event.retry,
            truncated=torn or event.data.cut,
            **who(carried.connection),
        )
