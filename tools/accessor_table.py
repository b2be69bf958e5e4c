"""Print what the accessors of TLS libraries tell, as a table for docs/accessors.md: accessor_table.py NAME=FILE..."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.attach.code.accessors import FUNCTIONS, WANTED, find_accessors
from pellucid.attach.symbols import Elf

if TYPE_CHECKING:
    from pellucid.attach.code.accessors import Accessors, Field


def found_in(path: Path) -> Accessors:
    """What the accessors of one file tell."""
    with Elf(path) as elf:
        return find_accessors(elf, elf.symbols(FUNCTIONS))


def cell(fields: tuple[Field, ...]) -> str:
    """Paths as people write them: offsets in hex, arrows for pointers that are followed."""
    return ", else ".join("→".join(f"{offset:x}" for offset in field.path) for field in fields) or "-"


def main(arguments: list[str]) -> None:
    """Print the table."""
    files = dict(argument.split("=", 1) for argument in arguments)
    found = [found_in(Path(path)) for path in files.values()]
    print("| |", " | ".join(files), "|")
    print("|---" * (len(files) + 1) + "|")
    for name in ("object_type", *WANTED):
        print(f"| {name} |", " | ".join(cell(each.fields.get(name, ())) for each in found), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
