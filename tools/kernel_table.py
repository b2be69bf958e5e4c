"""Write the table of docs/kernels.md from `attach/features.py`; the text around it is written by hand."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pellucid.attach.features import FEATURES

PAGE = Path(__file__).parent.parent / "docs" / "kernels.md"
BEGIN, END = "<!-- made by tools/kernel_table.py -->\n", "<!-- to here -->\n"


def table() -> str:
    """What Pellucid needs of a machine, and the kernel commits that brought it."""
    rows = "".join(
        f"| {row.name} | {row.use} | {row.needs} | {row.without or '**required**'} |\n" for row in FEATURES
    )
    commits = "".join(f"- {row.name}: {commit}\n" for row in FEATURES for commit in row.commits)
    return f"| | used to | needs | without it |\n|---|---|---|---|\n{rows}\nThe commits:\n\n{commits}"


def fresh(page: str) -> str:
    """The page with the table as it is now."""
    parts = re.fullmatch(f"(.*{BEGIN}).*({END}.*)", page, re.DOTALL)
    if parts is None:
        raise ValueError(f"{PAGE.name} has lost the marks around its table")
    return parts[1] + table() + parts[2]


if __name__ == "__main__":
    PAGE.write_text(fresh(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE.name}\n")
