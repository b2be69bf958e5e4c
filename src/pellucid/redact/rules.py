"""What is looked for: the built-in names and shapes, and those of a user's file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.redact.names import Names

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = ("headers", "keys", "patterns")


@dataclass(frozen=True, eq=False)
class Rules:
    """What names and texts are credentials."""

    names: Names = field(default_factory=Names)
    patterns: tuple[re.Pattern[str], ...] = ()
    """Of the user, besides the built-in ones. A first group is what is masked; without one all that matches is."""


def load_rules(path: Path) -> Rules:
    """Read a TOML file with lists of strings: `headers`, `keys`, `patterns` (Python's regular expressions).

    UsageError, with file and line, for what cannot be read, is not TOML, or is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read the rules in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise _misplaced(path, error) from error
    lists = {name: _strings(path, text, name, table.pop(name, [])) for name in _TABLES}
    for name in table:
        raise UsageError(f"{path}:{_line(text, name)}: unknown {name!r}: there are {', '.join(_TABLES)}")
    patterns = tuple(_compiled(path, text, pattern) for pattern in lists["patterns"])
    return Rules(Names(lists["headers"], lists["keys"]), patterns)


def _misplaced(path: Path, error: tomllib.TOMLDecodeError) -> UsageError:
    """Python 3.11 tells the line only in the words of the error: `... (at line 3, column 5)`."""
    words = str(error)
    place = re.search(r" \(at line (\d+), column \d+\)$", words)
    if place is None:
        return UsageError(f"{path}: {words}")
    return UsageError(f"{path}:{place[1]}: {words[: place.start()]}")


def _strings(path: Path, text: str, name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise UsageError(f'{path}:{_line(text, name)}: {name} must be a list of strings: {name} = ["..."]')
    return value


def _compiled(path: Path, text: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{path}:{_line(text, pattern)}: bad pattern {pattern!r}: {error}") from error
    if compiled.fullmatch(""):
        raise UsageError(f"{path}:{_line(text, pattern)}: the pattern {pattern!r} matches nothing at all")
    return compiled


def _line(text: str, wanted: str) -> int:
    """The first line, counted from 1, that has these words; TOML may have them escaped, then line 1."""
    escaped = wanted.replace("\\", "\\\\")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if wanted in line or escaped in line), 1)
