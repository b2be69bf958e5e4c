"""The functions around places are told by tables for unwinding, else by who is called."""

import pytest

from pellucid.attach.code.functions import functions_around
from pellucid.attach.symbols import Elf

SOURCE = """
#define SEPARATE __attribute__((noinline, noclone))
static volatile int sink;
SEPARATE void first(int x) { for (int i = 0; i < x; i++) sink += i; }
SEPARATE void second(int x) { while (x-- > 3) sink -= x; }
SEPARATE void third(int x) { sink ^= x; }
__attribute__((visibility("default"))) int use(int x) { first(x); third(x); second(x); return sink; }
"""
TOLD, UNTOLD = "-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables"


@pytest.mark.parametrize("unwind", [TOLD, UNTOLD])
def test_functions(library, unwind):
    """A place anywhere in a function leads to its beginning, whether the file tells that or only calls do."""
    with Elf(library(SOURCE, "-O2", "-fvisibility=hidden", unwind)) as elf:
        real = [elf.symbol(name) for name in ("first", "second")]
        places = [address for one in real for address in (one.address, one.address + one.size - 1)]
        found = functions_around(elf, places)
    assert [(one.address, one.offset) for one in real] == [(one.address, one.offset) for one in found]
    assert all(one.size <= other.size < one.size + 16 for one, other in zip(real, found, strict=True))


def test_end_without_tables(library):
    """Without tables the last function called ends after 4096 bytes: more is not looked into."""
    with Elf(library(SOURCE, "-O2", "-fvisibility=hidden", UNTOLD)) as elf:
        third = elf.symbol("third").address
        [found] = functions_around(elf, [third])
    assert (third, 4096) == (found.address, found.size)


def test_nobody_calls_it(library):
    """Before the first function that is called none is known."""
    with Elf(library(SOURCE, "-O2", "-fvisibility=hidden", UNTOLD)) as elf:
        assert [] == functions_around(elf, [elf.symbol("first").address - 1])
