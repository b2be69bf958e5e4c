"""What all paragraphs of the text format share: the heading, notes, headers, payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.escape import escape
from pellucid.sink.payload import count, octets, payload_lines, summary
from pellucid.sink.style import painter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Headers, KeyLogLine, Message, OnConnection, Shell, Text
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.style import Style


class Page:
    """How one output is laid out and coloured."""

    def __init__(self, options: SinkOptions) -> None:
        self.options = options
        self.paint = painter(options.color)

    def time(self, message: Message) -> str:
        """Time of day in UTC, to the millisecond: the same on every machine of an incident."""
        return self.paint("time", message.ts[11:23])

    def who(self, message: OnConnection | Shell | KeyLogLine) -> str:
        """The program and its process."""
        return self.paint("who", escape(f"{message.comm}[{message.pid}]"))

    def heading(self, message: OnConnection, facts: str) -> str:
        """The first line of a paragraph: when, who, between whom, and what.

        On a terminal, which may be too narrow for all of it, what it is comes before what is looked up when needed.
        """
        ends = f"{message.role or '?'} {message.src or '?'} -> {message.dst or '?'}"
        where = self.paint("where", escape(f"{ends} {message.library} conn {message.conn}"))
        order = [escape(facts), where] if self.options.terminal else [where, escape(facts)]
        return " ".join([self.time(message), self.who(message), *order])

    def note(self, text: str, style: Style = "note") -> str:
        """A line of ours about what is shown."""
        return self.paint(style, f"[{escape(text)}]")

    def headers(self, mark: str, headers: Headers) -> Iterator[str]:
        """One line each, behind the mark of their direction."""
        for name, value in headers:
            yield f"{mark} {self.paint('name', escape(name))}: {escape(value)}"

    def payload(
        self, data: Text, media: str | None = None, *, size: int | None = None, base: int = 0
    ) -> Iterator[str]:
        """The lines of a payload, or in the view without payloads what it is; `size` is that of the bytes as sent."""
        if self.options.view != "headers":
            yield from payload_lines(data, self.options, self.paint, media=media, base=base)
        elif isinstance(data, bytes):
            yield self.note(summary(data, media))
        else:
            yield self.note(
                f"{count(len(octets(data)) if size is None else size, 'byte')} of {media or 'text'}"
            )

    def endings(self, *, truncated: bool, error: str | None, what: str) -> Iterator[str]:
        """What is missing of a message, in its last lines."""
        if truncated:
            yield self.note(f"truncated: {what} is longer than what was kept", "attention")
        if error is not None:
            yield self.note(f"error: {error}", "warning")


def header(headers: Headers, wanted: str) -> str | None:
    """Return the first value of a header; names have no case (RFC 9110 section 5.1)."""
    return next((value for name, value in headers if name.lower() == wanted), None)
