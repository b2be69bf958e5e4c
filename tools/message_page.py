"""Write docs/messages.md from `pellucid.model`: every message, its fields, and what they mean."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid import model

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent / "docs" / "messages.md"
MESSAGES = (
    model.Http,
    model.Request,
    model.Response,
    model.WebSocket,
    model.ServerSentEvent,
    model.Grpc,
    model.Query,
    model.QueryError,
    model.RawData,
    model.ConnectionEvent,
    model.Lost,
    model.Summary,
)
HEAD = """# Messages

`-o json` writes one JSON object a line. `type` comes first and tells which; times are RFC 3339 UTC with microseconds;
addresses are `"address:port"` or null; headers are `[name, value]` pairs in their order. Text is a string; bytes that are
not UTF-8 are base64 in the same field, and `encoding` is then `"base64"`.

This page is made from `src/pellucid/model/` by `tools/message_page.py`.
"""


def fields(cls: type) -> Iterator[tuple[str, str, str]]:
    """(name, type, meaning) of each field, inherited ones first; the meaning is the docstring below it."""
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith(model.__name__):
            continue
        (tree,) = ast.parse(inspect.getsource(base)).body
        assert isinstance(tree, ast.ClassDef)
        for statement, following in zip(tree.body, [*tree.body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign):
                yield ast.unparse(statement.target), ast.unparse(statement.annotation), _docstring(following)


def _docstring(statement: ast.stmt | None) -> str:
    match statement:
        case ast.Expr(ast.Constant(str(text))):
            return inspect.cleandoc(text).replace("\n", " ")
    return ""


def section(cls: type) -> str:
    """One message, or a part of one, as a table."""
    tag = cls.__struct_config__.tag  # type: ignore[attr-defined]  # msgspec adds it
    title = f"`{tag}`" if tag else f"{cls.__name__} (in `{cls.__module__.rpartition('.')[2]}`)"
    rows = "\n".join(f"| `{name}` | {_type(kind)} | {meaning} |" for name, kind, meaning in fields(cls))
    return f"\n## {title}\n\n{cls.__doc__}\n\n| field | type | |\n|---|---|---|\n{rows}\n"


def _type(annotation: str) -> str:
    """A type in words of JSON."""
    optional = " or absent" if "UnsetType" in annotation else ""
    null = " or null" if "None" in annotation else ""
    base = annotation.replace(" | UnsetType", "").replace(" | None", "")
    words = {
        "str": "string", "Text": "string", "int": "integer", "float": "number", "bool": "boolean",
        "Headers": "array", "dict[str, int]": "object", "Request": "object", "Response": "object",
        "list[Any]": "array", "QueryError": "object", "Any": "any",
    }  # fmt: skip
    return words[base] + null + optional


def page() -> str:
    """The whole page."""
    return HEAD + "".join(section(cls) for cls in MESSAGES)


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"wrote {PAGE.name}\n")
