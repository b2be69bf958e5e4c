"""docs/schema/messages-1.json from `pellucid.model`: what a line of `-o json` may be, for programs that check.

msgspec's own generator refuses `str | bytes`, which in JSON is one string; and the meanings stand below the fields,
where it does not look.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct, UnsetType

from pellucid import model

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
"""A field or type that is added leaves it; one that is removed, or means something else, makes the next version."""
FILE = Path(__file__).parent.parent / "docs" / "schema" / f"messages-{VERSION}.json"
MESSAGES = (
    model.Http,
    model.WebSocket,
    model.ServerSentEvent,
    model.Grpc,
    model.Query,
    model.Shell,
    model.QueryShape,
    model.RawData,
    model.ConnectionEvent,
    model.KeyLogLine,
    model.Lost,
    model.Summary,
)
_SIMPLE: dict[Any, dict[str, Any]] = {
    Any: {},
    str: {"type": "string"},
    bytes: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
}


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


def schema() -> dict[str, Any]:
    """The whole schema (JSON Schema 2020-12)."""
    parts: dict[str, Any] = {}
    choices = [_reference(cls, parts) for cls in MESSAGES]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pellucid:messages:{VERSION}",
        "schema_version": VERSION,
        "title": "A message of Pellucid",
        "description": "One line of `-o json`; `type` tells which.",
        "oneOf": choices,
        "$defs": dict(sorted(parts.items())),
    }


def _reference(cls: type, parts: dict[str, Any]) -> dict[str, Any]:
    """A reference to a class, which is added to the parts."""
    if cls.__name__ not in parts:
        parts[cls.__name__] = {}  # so that a class that holds itself is described once
        parts[cls.__name__] = _object(cls, parts)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _object(cls: type, parts: dict[str, Any]) -> dict[str, Any]:
    tag = cls.__struct_config__.tag  # type: ignore[attr-defined]  # msgspec adds it
    properties: dict[str, Any] = {"type": {"const": tag}} if tag else {}
    required = ["type"] if tag else []
    hints = get_type_hints(cls)
    for name, _, meaning in fields(cls):
        properties[name] = _value(hints[name], parts) | {"description": meaning}
        if UnsetType not in get_args(hints[name]):
            required.append(name)
    return {
        "description": inspect.getdoc(cls),
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _value(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """What a value of this Python type is in JSON."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _reference(hint, parts)
    args = [_value(arg, parts) for arg in get_args(hint) if arg is not UnsetType]
    match get_origin(hint):
        case builtins.list:
            return {"type": "array", "items": args[0]}
        case builtins.tuple:
            return {"type": "array", "prefixItems": args, "items": False, "minItems": len(args)}
        case builtins.dict:
            return {"type": "object", "additionalProperties": args[1]}
    assert get_origin(hint) in {Union, UnionType}, f"no word for {hint!r}"
    return _either(args)


def _either(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several; simple types share one `type`."""
    distinct = [choice for number, choice in enumerate(choices) if choice not in choices[:number]]
    if len(distinct) == 1:
        return distinct[0]
    if all(choice.keys() == {"type"} for choice in distinct):
        return {"type": [choice["type"] for choice in distinct]}
    return {"anyOf": distinct}


def schema_text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2) + "\n"
