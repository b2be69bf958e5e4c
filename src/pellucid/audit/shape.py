"""What a query is without its values: `SELECT * FROM goods WHERE id = 5` and `... = 6` have one shape.

Text is cut into what the servers' lexers cut it into, and no further: that takes microseconds, where a parser of SQL takes a
millisecond, and text that no parser knows has a shape all the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = r"(?<![\w$])(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?!\w)"
_BLOCK = r"/\*(?!!).*?(?:\*/|\Z)"

_NO_BLANK = r"(?! [^\s/#-])"
"""A blank alone is left where it is: most are, and each match takes time."""

_MYSQL = re.compile(
    rf"(?P<space>{_NO_BLANK}(?:\s+|--(?=\s|\Z)[^\n]*|\#[^\n]*|{_BLOCK})+)"
    r"|(?P<name>`(?:[^`]|``)*`?)"
    rf"|(?P<value>'(?:[^'\\]+|\\.|'')*(?:'|\\?\Z)|\"(?:[^\"\\]+|\\.|\"\")*(?:\"|\\?\Z)|{_NUMBER})",
    re.DOTALL,
)
"""MySQL 8.0 manual sections 9.1.1, 9.1.2, 9.7. `/*!` begins what is executed."""

_POSTGRES = re.compile(
    rf"(?P<space>{_NO_BLANK}(?:\s+|--[^\n]*|{_BLOCK})+)"
    r"|(?P<name>\"(?:[^\"]|\"\")*\"?)"
    r"|(?P<value>\b[eE]'(?:[^'\\]+|\\.|'')*(?:'|\\?\Z)|'(?:[^']+|'')*(?:'|\Z)"
    r"|(?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
    rf"|(?<![\w$])\$\d+|{_NUMBER})",
    re.DOTALL,
)
"""PostgreSQL manual section 4.1: constants, parameters ($1), comments."""

_MYSQL_OPERATOR = r":=|->>?|[+-]|[*/<>=~!%^&|]+"
"""MySQL 8.0 manual section 14.4. A sign is one by itself: `a=-1` is `a = -1`."""

_POSTGRES_OPERATOR = r"<->|->>?|[+-]|[*/<>=~!@#%^&|]+"
"""PostgreSQL manual section 4.1.3."""

_BLANKS = (
    (",", ", "), ("  ", " "), ("  ", " "), (" ,", ","), ("( ", "("), (" )", ")"), (" .", "."), (". ", "."), (" ::", "::"),
    (":: ", "::"),
)  # fmt: skip
"""What becomes of blanks where the servers do not care, one after the other. There are three in a row at most."""

_CALLED = re.compile(r"\b(in|values)\(", re.IGNORECASE)
"""Words that are no functions."""

_SIGN = re.compile(r"(?<=[(,*/<>=~!@#%^&|+-])( ?)[+-] \Z")
"""Behind an operator, a bracket or a comma, and before a value: part of it."""

_LIST = re.compile(r"\(\?(?:, \?)*\)")
_ROWS = re.compile(r"\(\.\.\.\)(?:, \(\.\.\.\))+")

MOST = 4096
"""Characters of a text that its shape is made from: what differs later makes no other shape."""


def shape_of(text: str, server: str) -> str:
    """Return the text with `?` for each value, `(...)` for a list of them, and blanks in the same places whoever wrote it.

    PostgreSQL's is in lower case but for quoted names, as the server reads it; MySQL's keeps its case, which tells tables
    apart there.
    """
    dialect = _DIALECTS["postgres" if server == "postgres" else "mysql"]
    cut = text[:MOST]
    parts: list[str] = []
    plain, at = "", 0
    for match in dialect.tokens.finditer(cut):
        plain += cut[at : match.start()]
        at = match.end()
        if match["space"] is not None:
            plain += " "
            continue
        written = dialect.written(plain)
        plain = ""
        parts += [written, match["name"]] if match["name"] is not None else [_SIGN.sub(r"\1", written), "?"]
    parts.append(dialect.written(plain + cut[at:]))
    shape = _ROWS.sub("(...)", _LIST.sub("(...)", "".join(parts).strip(" ;")))
    return f"{shape} ..." if len(text) > MOST else shape


class _Dialect(NamedTuple):
    """How one kind of server reads a text."""

    tokens: re.Pattern[str]
    operator: re.Pattern[str]
    folds: bool
    """Whether it reads names that are not quoted in lower case."""

    def written(self, plain: str) -> str:
        """What stands between values and quoted names, as everybody might write it."""
        text = self.operator.sub(r" \g<0> ", plain.lower() if self.folds else plain)
        for before, after in _BLANKS:
            text = text.replace(before, after)
        return _CALLED.sub(r"\1 (", text)


_DIALECTS = {
    "mysql": _Dialect(_MYSQL, re.compile(_MYSQL_OPERATOR), folds=False),
    "postgres": _Dialect(_POSTGRES, re.compile(_POSTGRES_OPERATOR), folds=True),
}
