"""A body or a piece of stream, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.escape import escape, escape_body
from pellucid.media import essence, pairs, parts
from pellucid.sink.hexdump import hexdump
from pellucid.sink.images import image_in
from pellucid.sink.pretty import json_lines, looks_like_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.media import Part
    from pellucid.model import Text
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.style import Paint

INDENT = "  "
"""Before every captured line, so that column 0 is Pellucid's alone: no body can forge a message, and
only the end of a message is an empty line (a body's own empty lines are these two spaces)."""

_WIDEST_NAME = 24
"""Columns for the names of a form; a longer one pushes its own value aside."""


def count(number: int, unit: str) -> str:
    """Return `1 byte`, `2 bytes`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def payload_lines(
    data: Text, options: SinkOptions, paint: Paint, *, media: str | None = None, base: int = 0
) -> Iterator[str]:
    """Yield the lines of a payload: text, the parts of a form, a summary of binary data, or a hex dump.

    At most `options.truncate` bytes are shown, and a last line says how many more there are. `media` is a
    Content-Type; `base` is the offset that a hex dump begins with.
    """
    if options.hex:
        shown, hidden = _cut(data, options.truncate)
        yield from (INDENT + row for row in hexdump(octets(shown), base))
    elif essence(media).startswith("multipart/") and (found := list(parts(octets(data), media or ""))):
        yield from _multipart(octets(data), found, options, paint)
        return
    elif isinstance(data, bytes):
        yield paint("note", f"[{summary(data, media)} (--hex shows {'it' if len(data) == 1 else 'them'})]")
        return
    else:
        shown, hidden = _cut(data, options.truncate)
        assert isinstance(shown, str)  # as it was
        if shown:
            yield from _text(shown, media, options, paint)
    if hidden:
        yield paint("note", f"[... {count(hidden, 'more byte')}]")


def summary(data: bytes, media: str | None) -> str:
    """Say what binary data is: an image by its own header, else by its media type."""
    size = count(len(data), "byte")
    image = image_in(data)
    if image:
        return f"{image.format} image, {image.width} x {image.height} pixels, {size}"
    return f"{size} of {escape(essence(media)) or 'binary data'}"


def octets(data: Text) -> bytes:
    """Return the bytes that a payload stands for."""
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")


def _text(text: str, media: str | None, options: SinkOptions, paint: Paint) -> Iterator[str]:
    """As it was sent; on a terminal laid out where that is known to be right."""
    if options.terminal and looks_like_json(text, media):
        yield from (INDENT + line for line in json_lines(text, paint))
    elif options.terminal and essence(media) == "application/x-www-form-urlencoded":
        yield from _form(text, options.width, paint)
    else:
        yield INDENT + escape_body(text).removesuffix("\n").replace("\n", f"\n{INDENT}")


def _form(text: str, width: int, paint: Paint) -> Iterator[str]:
    """A table of names and values; a long value goes on below itself."""
    names = min(max((len(escape(pair.name)) for pair in pairs(text.strip())), default=0), _WIDEST_NAME)
    room = max(width - len(INDENT) - names - 2, 20)
    for pair in pairs(text.strip()):
        name, value = escape(pair.name), escape(pair.value)
        yield f"{INDENT}{paint('name', name)}{' ' * (names - len(name))}  {value[:room]}"
        for at in range(room, len(value), room):
            yield f"{INDENT}{' ' * names}  {value[at : at + room]}"


def _multipart(body: bytes, found: list[Part], options: SinkOptions, paint: Paint) -> Iterator[str]:
    """Each part by its name, file name, type and size; below it what is text."""
    for number, part in enumerate(found, 1):
        content = body[part.start : part.end]
        text = _readable(content)
        name = "" if part.name is None else f' "{escape(part.name)}"'
        file = "" if part.filename is None else f', file "{escape(part.filename)}"'
        what = (
            summary(content, part.type)
            if text is None
            else f"{count(len(content), 'byte')} of {escape(part.type)}"
        )
        yield paint("note", f"[part {number}{name}{file}: {what}]")
        if text:
            yield from payload_lines(text, options, paint, media=_not_nested(part.type))


def _not_nested(media: str) -> str:
    """A part that has parts itself is shown as the text it is: nothing of it is hidden, and nothing recurs."""
    return "text/plain" if essence(media).startswith("multipart/") else media


def _readable(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _cut(data: Text, limit: int) -> tuple[Text, int]:
    """Return the first `limit` bytes (whole characters and line ends of text; 0 is no limit), and how many follow."""
    whole = octets(data) if limit else b""
    if len(whole) <= limit:
        return data, 0
    if isinstance(data, bytes):
        return data[:limit], len(data) - limit
    while whole[limit] & 0xC0 == 0x80:  # a continuation byte (RFC 3629 section 3)
        limit -= 1
    if limit and whole[limit - 1 : limit + 1] == b"\r\n":
        limit -= 1
    return whole[:limit].decode("utf-8", "surrogatepass"), len(whole) - limit
