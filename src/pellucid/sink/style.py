"""Colours: a name for what a piece of text is, and the ANSI sequence (ECMA-48 SGR) it gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

Style = Literal["time", "who", "request", "success", "failure", "name", "note", "warning"]
Paint = Callable[[Style, str], str]

# Only the eight basic colours, which every terminal theme keeps readable on its background.
_CODES: dict[Style, str] = {
    "time": "2",
    "who": "1",
    "request": "1;36",
    "success": "1;32",
    "failure": "1;31",
    "name": "36",
    "note": "33",
    "warning": "1;31",
}


def has_colors(fd: int) -> bool:
    """Whether colours belong there: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return os.isatty(fd) and not os.environ.get("NO_COLOR")


def painter(color: bool) -> Paint:
    """Return what dresses a piece of text in its style: nothing at all when `color` is false."""
    return _ansi if color else _plain


def _ansi(style: Style, text: str) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def _plain(_style: Style, text: str) -> str:
    return text
