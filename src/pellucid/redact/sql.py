"""Values in the text of SQL: string literals, as each server reads them."""

from __future__ import annotations

import re

from pellucid.redact.spans import MASK

_COMMENT = r"--[^\n]*|/\*.*?(?:\*/|\Z)"
_MYSQL = re.compile(
    rf"(?P<keep>{_COMMENT}|\#[^\n]*|`[^`]*`?)"
    r"""|(?P<open>')(?:[^'\\]++|\\.|'')*+(?:'|\Z|\\\Z)"""
    r"""|(?P<double>")(?:[^"\\]++|\\.|"")*+(?:"|\Z|\\\Z)""",
    re.DOTALL,
)
"""MySQL 8.0 manual section 9.1.1: both quotes, backslash escapes, `#` comments."""

_POSTGRES = re.compile(
    rf"(?P<keep>{_COMMENT}|\"[^\"]*\"?)"
    r"""|(?P<open>\b[Ee]')(?:[^'\\]++|\\.|'')*+(?:'|\Z|\\\Z)"""
    r"""|(?P<plain>')(?:[^']++|'')*+(?:'|\Z)"""
    r"""|(?P<dollar>\$(?:[A-Za-z_]\w*)?\$).*?(?:(?P=dollar)|\Z)""",
    re.DOTALL,
)
"""PostgreSQL manual section 4.1.2: standard strings have no escapes, `E''` has; double quotes are identifiers."""

_IN_ERRORS = re.compile(r"""'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|(?<=\)=)\([^)]*\)?""", re.DOTALL)
"""What a server repeats of values: `Duplicate entry 'x'`, `Key (email)=(x)`, `invalid input syntax: "x"`."""


def masked_literals(query: str, server: str) -> str:
    """Replace every string literal; comments, identifiers and numbers stay."""
    pattern = _POSTGRES if server == "postgres" else _MYSQL
    return pattern.sub(_literal, query)


def masked_error(words: str) -> str:
    """Replace what a server's error repeats of the values."""
    return _IN_ERRORS.sub(MASK, words)


def _literal(match: re.Match[str]) -> str:
    if match["keep"] is not None:
        return match[0]
    quote = '"' if match.groupdict().get("double") else "'"
    return f"{quote}{MASK}{quote}"
