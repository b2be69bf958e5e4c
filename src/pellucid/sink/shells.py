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

_MAX_TEXT = 200
"""Characters of a command: a line is for finding it."""


def shell_lines(page: Page, message: Shell) -> Iterator[str]:
    """Show one command: whose, where, and what became of it, then its text."""
    where = f"in {message.cwd or '?'}"
    if message.argv is not UNSET:
        where += f" at {message.script}:{message.lineno or '?'} depth {message.depth}"
    yield f"{_facts(page, message)} {page.paint('where', escape(where))}"
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
    return f"{_facts(page, message)} {page.paint('request', escape(shown))}"


def _words(argv: list[Any]) -> str:
    """Words as they could be typed; of one that is no text its base64."""
    return shlex.join(word if isinstance(word, str) else word["base64"] for word in argv)


def _facts(page: Page, message: Shell) -> str:
    """When, who, at which terminal; the status and how long it took, `-` for what is not known."""
    user = message.user or message.uid
    status = "-" if message.exit_code is None else str(message.exit_code)
    took = "-" if message.duration_ms is None else f"{message.duration_ms:.1f}ms"
    style: Style = "failure" if message.exit_code else "success"
    how = "" if message.ended == "done" else f" {message.ended}"
    where = escape(f"{user} {message.tty or '-'}")
    return f"{page.time(message)} {page.who(message)} {where} {page.paint(style, status)} {took}{how}"
