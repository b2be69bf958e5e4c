"""Whether messages are as docs/schema says, to the last field."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = json.loads((Path(__file__).parent.parent / "docs/schema/messages-1.json").read_text())


def _strict(schema: Any) -> Any:
    """A copy of a schema that lets no field pass which it does not name."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return {name: _strict(part) for name, part in schema.items()} | closed


_PARTS = {"$defs": _strict(SCHEMA["$defs"])}
VALIDATORS = {
    part["properties"]["type"]["const"]: Draft202012Validator({"$ref": f"#/$defs/{name}", **_PARTS})
    for name, part in SCHEMA["$defs"].items()
    if "type" in part["properties"]
}
"""By the type of the message."""


def check(line: str | bytes | bytearray) -> None:
    """Fail where a line is not what the schema of its type says."""
    message = json.loads(line)
    VALIDATORS[message["type"]].validate(message)


def check_some(messages: Iterable[dict[str, Any]], most: int = 10) -> None:
    """The same for so many of each type that Pellucid itself has: a validation takes a millisecond."""
    seen: Counter[str] = Counter()
    for message in messages:
        seen[message["type"]] += 1
        if seen[message["type"]] <= most and message["type"] in VALIDATORS:
            VALIDATORS[message["type"]].validate(message)
