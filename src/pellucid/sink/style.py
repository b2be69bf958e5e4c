"""Colours: a name for what a piece of text is, and the ANSI sequence (ECMA-48 SGR) it gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

Style = Literal[
    "time",
    "who",
    "where",
    "request",
    "success",
    "attention",
    "failure",
    "name",
    "text",
    "number",
    "note",
    "warning",
]
Paint = Callable[[Style, str], str]

# Only the eight basic colours, which every terminal theme keeps readable on its background. What is read first is bright,
# what is looked up when needed is dim.
_CODES: dict[Style, str] = {
    "time": "2",
    "who": "1",
    "where": "2",
    "request": "1;36",
    "success": "1;32",
    "attention": "1;33",
    "failure": "1;31",
    "name": "36",
    "text": "32",
    "number": "33",
    "note": "2",
    "warning": "1;31",
}


def has_colors(fd: int) -> bool:
    """Whether colours belong there: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return os.isatty(fd) and not os.environ.get("NO_COLOR")


def columns(fd: int) -> int:
    """How wide a terminal is; 80 where it does not say (a serial line)."""
    return os.get_terminal_size(fd).columns or 80


def painter(color: bool) -> Paint:
    """Return what dresses a piece of text in its style: nothing at all when `color` is false."""
    return _ansi if color else _plain


def _ansi(style: Style, text: str) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def _plain(_style: Style, text: str) -> str:
    return text
