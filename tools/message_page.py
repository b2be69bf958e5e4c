"""Write docs/messages.md from `pellucid.model`: every message, its fields, what they mean, and one of each."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from message_examples import examples, shown
from message_schema import FILE, MESSAGES, fields, schema, schema_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCE = re.compile(r'"#/\$defs/(\w+)"')
PAGE = Path(__file__).parent.parent / "docs" / "messages.md"
HEAD = f"""# Messages

`-o json` writes one JSON object a line. `type` comes first and tells which; times are RFC 3339 UTC with microseconds;
addresses are `"address:port"` or null; headers are `[name, value]` pairs in their order. Text is a string; bytes that are
not UTF-8 are base64 in the same field, and `encoding` is then `"base64"`. Plug-ins may add types.

[schema/{FILE.name}](schema/{FILE.name}) is the same as a JSON Schema (2020-12). Its `schema_version` and file name change when
a field is removed or means something else; fields and types that are added do not change it, so readers pass over what they
do not know. [recipes.md](recipes.md) has questions to these messages, for `jq`.

This page and the schema are made from `src/pellucid/model/` by `tools/message_page.py`; examples are one line each in the
output.
"""


def page() -> str:
    """The whole page."""
    parts = schema()["$defs"]
    real = examples()
    told: set[str] = set()
    return HEAD + "".join(text for cls in MESSAGES for text in _sections(cls, parts, real, told))


def _sections(cls: type, parts: dict[str, Any], real: dict[str, Any], told: set[str]) -> Iterator[str]:
    """A message, its example, and then what it holds that was not told before."""
    part = parts[cls.__name__]
    tag = part["properties"]["type"]["const"]
    message, source = real[tag]
    yield _table(f"`{tag}`", part, fields(cls))
    yield f"\n```json\n{shown(message)}\n```\n\n({source})\n"
    for name in _held(part, parts):
        if name not in told:
            told.add(name)
            held = getattr(sys.modules[cls.__module__], name)
            yield _table(f"{name} (in `{tag}`)", parts[name], fields(held))


def _held(part: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    """The names of the parts that a part refers to, at any depth, in order."""
    names = _REFERENCE.findall(json.dumps(part))
    return list(dict.fromkeys(held for name in names for held in (name, *_held(parts[name], parts))))


def _table(title: str, part: dict[str, Any], rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [
        f"| `{field}` | {_words(part['properties'][field], required=field in part['required'])} | {meaning} |"
        for field, _, meaning in rows
    ]
    head = f"\n## {title}\n\n{part['description']}\n\n| field | type | |\n|---|---|---|\n"
    return head + "\n".join(lines) + "\n"


def _words(schema_: dict[str, Any], *, required: bool) -> str:
    """A type in words of JSON."""
    choices = schema_.get("anyOf", [schema_])
    words = [word for choice in choices for word in _types(choice)]
    return " or ".join(dict.fromkeys(words)) + ("" if required else " or absent")


def _types(choice: dict[str, Any]) -> list[str]:
    if "$ref" in choice:
        return ["object"]
    types = choice.get("type", "any")
    return types if isinstance(types, list) else [types]


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(schema_text())
    PAGE.write_text(page())
    sys.stdout.write(f"wrote {PAGE.name} and {FILE.name}\n")
