"""Commands of shells as text: a paragraph each, or a line."""

from __future__ import annotations

import shlex
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from pellucid.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pellucid.model import Shell
    from pellucid.sink.page import Page
    from pellucid.sink.style import Style

    _Piece = tuple[Style | None, str]
    """A part of a line, and how it is coloured, if at all."""

_MAX_TEXT = 200
"""Characters of a command: a line is for finding it."""


def shell_lines(page: Page, message: Shell) -> Iterator[str]:
    """Show one command: whose, where, and what became of it, then its text."""
    facts = _facts(message)
    width = sum(len(text) + 1 for _, text in facts)
    where = _where(message, page.options.width - width if page.options.terminal else None)
    yield _line(page, [*facts, ("where", where)])
    if message.typed is not UNSET:
        typed = message.typed if isinstance(message.typed, str) else b64decode(message.typed["base64"])
        yield from page.payload(typed)
        yield page.note("which history expansion makes")
    yield from page.payload(message.line)
    if message.argv and (words := _words(message.argv)) != message.line:
        yield f"= {page.paint('request', escape(words))}"
    yield from page.endings(truncated=message.truncated, error=None, what="the command")
    yield ""


def quiet_command(page: Page, message: Shell) -> str:
    """The same as one line."""
    line = message.line if isinstance(message.line, str) else message.line.decode(errors="replace")
    text = " ".join(line.split())
    shown = f"{text[:_MAX_TEXT]}..." if len(text) > _MAX_TEXT else text
    return _line(page, [*_facts(message), ("request", escape(shown))])


def _words(argv: list[Any]) -> str:
    """Words as they could be typed; of one that is no text its base64."""
    return shlex.join(word if isinstance(word, str) else word["base64"] for word in argv)


def _line(page: Page, pieces: list[_Piece]) -> str:
    return " ".join(page.paint(style, text) if style else text for style, text in pieces)


def _where(message: Shell, room: int | None) -> str:
    """In which directory, and of what was run at which place; with beginnings of paths left out where there is no room."""
    cwd, script, place = escape(message.cwd or "?"), "", ""
    if message.argv is not UNSET:
        nested = f" depth {message.depth}" if message.depth else ""
        script, place = escape(str(message.script)), f":{message.lineno or '?'}{nested}"
    if room is not None:
        room -= len(f"in {' at ' if place else ''}{place}")
        script = _shortened(script, room - min(len(cwd), room // 2))
        cwd = _shortened(cwd, room - len(script))
    return f"in {cwd} at {script}{place}" if place else f"in {cwd}"


def _shortened(path: str, room: int) -> str:
    """As much of a path's end as there is room for, its last name at least."""
    if len(path) <= room or "/" not in path:
        return path
    *before, kept = path.split("/")
    while len(f".../{before[-1]}/{kept}") <= room:  # it ends, for the whole is longer
        kept = f"{before.pop()}/{kept}"
    shorter = f".../{kept}"
    return shorter if len(shorter) < len(path) else path


def _facts(message: Shell) -> list[_Piece]:
    """When, who, at which terminal; the status and how long it took, `-` for what is not known."""
    status = "-" if message.exit_code is None else str(message.exit_code)
    took = "-" if message.duration_ms is None else f"{message.duration_ms:.1f}ms"
    return [
        ("time", message.ts[11:23]),
        ("who", escape(f"{message.comm}[{message.pid}]")),
        (None, escape(f"{message.user or message.uid} {message.tty or '-'}")),
        ("failure" if message.exit_code else "success", status),
        (None, took if message.ended == "done" else f"{took} {message.ended}"),
    ]
