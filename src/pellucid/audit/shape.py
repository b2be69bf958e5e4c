"""What a query is without its values: `SELECT * FROM goods WHERE id = 5` and `... = 6` have one shape.

Text is cut into what the servers' lexers cut it into, and no further: that takes microseconds, where a parser of SQL takes a
millisecond, and text that no parser knows has a shape all the same.
"""

from __future__ import annotations

import re

_NUMBER = r"(?<![\w$])(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?!\w)"
_BLOCK = r"/\*(?!!).*?(?:\*/|\Z)"

_MYSQL = re.compile(
    rf"(?P<space>(?:\s+|--(?=\s|\Z)[^\n]*|\#[^\n]*|{_BLOCK})+)"
    r"|(?P<name>`(?:[^`]|``)*+`?)"
    rf"|(?P<value>'(?:[^'\\]++|\\.|'')*+(?:'|\\?\Z)|\"(?:[^\"\\]++|\\.|\"\")*+(?:\"|\\?\Z)|{_NUMBER})",
    re.DOTALL,
)
"""MySQL 8.0 manual sections 9.1.1, 9.1.2, 9.7. `/*!` begins what is executed."""

_POSTGRES = re.compile(
    rf"(?P<space>(?:\s+|--[^\n]*|{_BLOCK})+)"
    r"|(?P<name>\"(?:[^\"]|\"\")*+\"?)"
    r"|(?P<value>\b[eE]'(?:[^'\\]++|\\.|'')*+(?:'|\\?\Z)|'(?:[^']++|'')*+(?:'|\Z)"
    r"|(?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
    rf"|(?<![\w$])\$\d+|{_NUMBER})",
    re.DOTALL,
)
"""PostgreSQL manual section 4.1: constants, parameters ($1), comments."""

_LIST = re.compile(r"\( ?-?\?(?: ?, ?-?\?)* ?\)")
_ROWS = re.compile(r"\(\.\.\.\)(?: ?, ?\(\.\.\.\))+")

MOST = 4096
"""Characters of a text that its shape is made from: what differs later makes no other shape."""


def shape_of(text: str, server: str) -> str:
    """Return the text with `?` for each value, `(...)` for a list of them, and one space for space and comments.

    PostgreSQL's is in lower case but for quoted names, as the server reads it; MySQL's keeps its case, which tells tables
    apart there.
    """
    pattern = _POSTGRES if server == "postgres" else _MYSQL
    cut = text[:MOST]
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(cut):
        parts.append(_plain(cut[at : match.start()], server))
        parts.append(_replacement(match))
        at = match.end()
    parts.append(_plain(cut[at:], server))
    shape = _ROWS.sub("(...)", _LIST.sub("(...)", "".join(parts).strip(" ;")))
    return f"{shape} ..." if len(text) > MOST else shape


def _plain(text: str, server: str) -> str:
    return text.lower() if server == "postgres" else text


def _replacement(match: re.Match[str]) -> str:
    if match["name"] is not None:
        return match["name"]
    return "?" if match["value"] is not None else " "
