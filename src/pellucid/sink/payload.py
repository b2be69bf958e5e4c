"""A body or a piece of stream, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.escape import escape, escape_body
from pellucid.sink.hexdump import hexdump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Text
    from pellucid.sink.base import SinkOptions
    from pellucid.sink.style import Paint

INDENT = "  "
"""Before every captured line, so that column 0 is Pellucid's alone: no body can forge a message, and
only the end of a message is an empty line (a body's own empty lines are these two spaces)."""

_NEXT_LINE = "\n" + INDENT


def count(number: int, unit: str) -> str:
    """Return `1 byte`, `2 bytes`."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def payload_lines(
    data: Text, options: SinkOptions, paint: Paint, *, media: str = "binary data", base: int = 0
) -> Iterator[str]:
    """Yield the lines of a payload: text as it is, binary data as a summary, or either as a hex dump.

    At most `options.truncate` bytes are shown, and a last line says how many more there are. `media`
    names binary data; `base` is the offset that a hex dump begins with.
    """
    if isinstance(data, bytes) and not options.hex:
        them = "it" if len(data) == 1 else "them"
        yield paint("note", f"[{count(len(data), 'byte')} of {escape(media)} (--hex shows {them})]")
        return
    shown, hidden = _cut(data, options.truncate)
    if options.hex:
        yield from (INDENT + row for row in hexdump(_octets(shown), base))
    elif shown:
        assert isinstance(shown, str)  # bytes were summarised
        yield INDENT + escape_body(shown).removesuffix("\n").replace("\n", _NEXT_LINE)
    if hidden:
        yield paint("note", f"[... {count(hidden, 'more byte')}]")


def _octets(data: Text) -> bytes:
    return data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")


def _cut(data: Text, limit: int) -> tuple[Text, int]:
    """Return the first `limit` bytes (whole characters of text; 0 is no limit), and how many follow."""
    octets = _octets(data) if limit else b""
    if len(octets) <= limit:
        return data, 0
    if isinstance(data, bytes):
        return data[:limit], len(data) - limit
    while octets[limit] & 0xC0 == 0x80:  # a continuation byte (RFC 3629 section 3)
        limit -= 1
    return octets[:limit].decode("utf-8", "surrogatepass"), len(octets) - limit
