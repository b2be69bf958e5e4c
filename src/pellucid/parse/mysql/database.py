"""Which database a session of MySQL uses after a command: what the server says has changed, else what the command does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pellucid.parse.mysql.packets import name_text

if TYPE_CHECKING:
    from pellucid.parse.mysql.answer import Answer

_MAY_CHANGE = {"query", "execute", "init_db", "drop_db", "reset_connection"}
"""Kinds of commands."""

_COMMENTS = rb"(?>(?:\s|/\*[^\x00]*?\*/|#[^\n]*\n|--\s[^\n]*\n)*)"
_USE = re.compile(
    rb"%buse\s++(?:`((?:[^`]|``)++)`|([^\s;`'\"/]++))\s*+(?:;\s*+)?\Z" % _COMMENTS, re.IGNORECASE
)

_MENTIONS = re.compile(rb"\b(?:use|drop)\b", re.IGNORECASE)
_COMMENT = rb"/\*(?!M?!).*?(?:\*/|\Z)|(?:#|--(?=\s|\Z))[^\n]*+|`[^`]*+`?"
"""Comments, except those that are executed (`/*!`), and names in quotes: each byte is looked at once."""
_NO_CODE = re.compile(rb"%b|'[^']*+'?|\"[^\"]*+\"?" % _COMMENT, re.DOTALL)
_NO_CODE_ESCAPED = re.compile(
    rb"%b|'[^'\\]*+(?:\\.[^'\\]*+)*+'?|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"?" % _COMMENT, re.DOTALL
)
"""The same where a backslash hides the quote behind it: a setting of the session (NO_BACKSLASH_ESCAPES) decides."""
_CHANGES = re.compile(
    rb"(?:\A|;)(?:\s|(?=/\*M?!)/\*M?!\d*+|\*/)*+use\b|\bdrop\s++(?:database|schema)\b", re.IGNORECASE
)


def database_after(answer: Answer, before: str | None) -> str | None:
    """Return the database in use when a command is answered; None where that is not known."""
    command = answer.command
    if answer.schema is not None:
        return answer.schema or None
    if command.kind not in _MAY_CHANGE:
        return before
    text = command.statement.text if command.statement else command.text
    if command.kind == "init_db" and text:
        return before if command.failure else name_text(text.kept)
    if command.kind in {"query", "execute"}:
        return database_after_text(text.kept, before, failed=command.failure is not None) if text else before
    return None


def database_after_text(text: bytes, before: str | None, *, failed: bool) -> str | None:
    """Return the database in use when `text` was executed and the server has not said; None where that is not known."""
    use = _USE.match(text)
    if use and failed:
        return before
    if use:
        return name_text(use[1].replace(b"``", b"`") if use[1] else use[2])
    return None if _may_change(text) else before


def _may_change(text: bytes) -> bool:
    """Say whether one of its statements may change the database in use."""
    if not _MENTIONS.search(text):
        return False
    readings = (_NO_CODE, _NO_CODE_ESCAPED) if b"\\" in text else (_NO_CODE,)
    return any(_CHANGES.search(no_code.sub(b" ", text)) for no_code in readings)
