"""Values in the text of SQL: string literals, as each server reads them."""

from __future__ import annotations

import re

from pellucid.redact.spans import MASK

_ESCAPED = r"(?:[^'\\]++|\\.|'')*+"
_DOUBLE = r'(?:[^"\\]++|\\.|"")*+'
_DOLLAR = r"(?<![\w$])(?P<dollar>\$(?:[A-Za-z_]\w*+)?\$)"

LITERAL = rf"""(?:
    (?:[EXNB]|U&|_\w{{1,30}}\s{{0,9}})?'({_ESCAPED})
  | "({_DOUBLE})
  | {_DOLLAR}(.*?)(?:(?P=dollar)|\Z)
)"""
"""A string literal of a server that is not known (with re.VERBOSE, DOTALL and IGNORECASE): its last group is what is in it."""

_MYSQL = re.compile(
    r"(?P<keep>--(?=\s|\Z)[^\n]*|/\*(?!M?!).*?(?:\*/|\Z)|\#[^\n]*|`[^`]*`?)"
    rf"""|(?P<open>'){_ESCAPED}(?:'|\Z|\\\Z)"""
    rf"""|(?P<double>"){_DOUBLE}(?:"|\Z|\\\Z)""",
    re.DOTALL,
)
"""MySQL 8.0 manual section 9.1.1: both quotes, backslash escapes. Section 9.7: `#` comments; `--` begins one only before
white space; the server executes what is in `/*! */` (MariaDB: in `/*M! */` too)."""

_POSTGRES = re.compile(
    r"(?P<keep>--[^\n]*|\"[^\"]*\"?)"
    r"|(?P<comment>/\*)"
    rf"""|(?P<open>\b[Ee]'){_ESCAPED}(?:'|\Z|\\\Z)"""
    r"""|(?P<plain>')(?:[^']++|'')*+(?:'|\Z)"""
    rf"""|{_DOLLAR}.*?(?:(?P=dollar)|\Z)""",
    re.DOTALL,
)
"""PostgreSQL manual section 4.1.2: standard strings have no escapes, `E''` has; double quotes are identifiers."""

_IN_COMMENT = re.compile(r"/\*|\*/")

_IN_ERRORS = re.compile(
    r"""(?<!\w)['"](?:.*['"](?!\w)|.*)|(?:(?<=\)=)|(?<=contains[ ]))\((?:.*\)|.*)""", re.DOTALL
)
"""What a server repeats of values: `Duplicate entry 'x'`, `Key (email)=(x)`, `Failing row contains (x)`. None of them escapes
what it repeats, so everything to the last quote or parenthesis may be the value. An apostrophe within a word is none."""


def masked_literals(query: str, server: str) -> str:
    """Replace every string literal; comments, identifiers and numbers stay."""
    pattern = _POSTGRES if server == "postgres" else _MYSQL
    pieces, at = [], 0
    while match := pattern.search(query, at):
        end = match.end()
        if match.lastgroup == "comment":
            end = _end_of_comment(query, end)
        shown = query[match.start() : end] if match.lastgroup in {"keep", "comment"} else _masked(match)
        pieces += [query[at : match.start()], shown]
        at = end
    return "".join([*pieces, query[at:]])


def masked_error(words: str) -> str:
    """Replace what a server's error repeats of the values."""
    return _IN_ERRORS.sub(MASK, words)


def _masked(literal: re.Match[str]) -> str:
    quote = '"' if literal.lastgroup == "double" else "'"
    return f"{quote}{MASK}{quote}"


def _end_of_comment(query: str, at: int) -> int:
    """Where a comment of PostgreSQL ends, which may have others within it."""
    depth = 1
    for mark in _IN_COMMENT.finditer(query, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(query)
