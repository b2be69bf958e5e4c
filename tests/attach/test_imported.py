"""Calls of functions in libraries are found by the caller's code, whatever form the compiler gives them."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pellucid.attach.imported import imported_calls
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = r"""
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) static int twice(const char *name) { return !getenv(name) + !getenv("HOME"); }
int main(int argc, char **argv) { return twice(argv[0]) + getpid() + !getenv("USER"); }
"""
FORMS = [[], ["-fno-plt"], ["-fcf-protection=full"], ["-no-pie"], ["-Wl,-z,ibtplt", "-Wl,-z,lazy"]]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: " ".join(form) or "default")
def test_every_call_is_found(tmp_path: Path, form: list[str]) -> None:
    """Place and return of each call are those that objdump shows, through the linkage table or the slot itself."""
    program = tmp_path / "program"
    subprocess.run(["gcc", "-O1", *form, "-x", "c", "-", "-o", program], input=SOURCE, text=True, check=True)
    shown = subprocess.run(["objdump", "-dwR", program], capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if re.match(r" +[0-9a-f]+:", line)]
    truth = [
        (address(line), address(following))
        for line, following in pairwise(lines)
        if re.search(r"call.*<getenv@", line)
    ]
    with Elf(program) as elf:
        found = imported_calls(elf, "getenv")
        with pytest.raises(PellucidError, match="no call of it is found"):
            imported_calls(elf, "readline")
    assert found == truth
    assert len(truth) == 3


def test_a_pointer_is_refused(tmp_path: Path) -> None:
    """A call through a register cannot be told from others: it is said, and no call is taken for all of them."""
    program, taken = (
        tmp_path / "program",
        SOURCE.replace(
            "return twice", "char *(*volatile get)(const char *) = getenv; get(argv[0]); return twice"
        ),
    )
    subprocess.run(["gcc", "-O1", "-x", "c", "-", "-o", program], input=taken, text=True, check=True)
    with Elf(program) as elf, pytest.raises(PellucidError, match="by a pointer"):
        imported_calls(elf, "getenv")


def address(line: str) -> int:
    """Of a line of objdump's."""
    return int(line.split(":", 1)[0], 16)
