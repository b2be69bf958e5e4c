"""Where functions come back, found in code as compilers write it."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.shells.returns import places_behind_calls, return_instructions
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = r"""
#include <stdlib.h>
#include <unistd.h>
__attribute__((noipa)) int other(int x) { if (x > 5) return getpid(); for (int i = 0; i < x; i++) rand(); return x; }
__attribute__((noipa)) int main_part(int x) {
  switch (x) {
  case 1: return other(4) + 1; case 2: abort(); case 3: return rand() * 3; case 4: return 7 / x; case 5: return x << 2;
  case 6: return rand() ^ rand(); default: if (x < 0) return -1; return other(x + 1);
  }
}
int main(int argc, char **argv) { return main_part(argc) + main_part(3) + (other(1) & 2); }
"""


def built(folder: Path, level: str) -> tuple[Path, dict[str, list[tuple[int, str]]]]:
    """The program, and the instructions of its functions as objdump shows them: address and text."""
    program = folder / "program"
    subprocess.run(["gcc", level, "-x", "c", "-", "-o", program], input=SOURCE, text=True, check=True)
    shown = subprocess.run(
        ["objdump", "-dw", "--no-show-raw-insn", program], capture_output=True, text=True, check=True
    )
    functions: dict[str, list[tuple[int, str]]] = {}
    for line in shown.stdout.splitlines():
        if begins := re.match(r"[0-9a-f]+ <(\w+)", line):
            here = functions.setdefault(begins[1], [])
        elif instruction := re.match(r" +([0-9a-f]+):\s+(.*)", line):
            here.append((int(instruction[1], 16), instruction[2]))
    return program, functions


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os"])
def test_returns_and_calls(tmp_path: Path, level: str) -> None:
    """They are those that objdump shows: with those of the function that a jump leaves the return to, if there is one."""
    program, shown = built(tmp_path, level)
    names = {"main_part"}
    if any(text.startswith("j") and "<other>" in text for _, text in shown["main_part"]):
        names.add("other")
    assert (level in {"-O2", "-Os"}) is ("other" in names)
    returns = sorted(place for name in names for place, text in shown[name] if text.startswith("ret"))
    behind = sorted(
        after
        for code in shown.values()
        for (_, text), (after, _) in pairwise(code)
        if re.match(r"call.*<other>", text)
    )
    with Elf(program) as elf:
        functions = elf.symbols(["main_part", "other"])
        assert return_instructions(elf, functions["main_part"]) == returns
        assert sorted(places_behind_calls(elf, functions["other"])) == behind
    assert returns
    assert behind


def test_a_function_that_nobody_calls(tmp_path: Path) -> None:
    """It is refused: probes at no place would tell nothing, in silence."""
    program, _ = built(tmp_path, "-O2")
    with Elf(program) as elf, pytest.raises(PellucidError, match="no call of its function main is found"):
        places_behind_calls(elf, elf.symbols(["main"])["main"])
