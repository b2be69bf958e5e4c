"""The extents of functions come from the tables for unwinding."""

import pytest

from pellucid.attach.symbols import Elf
from pellucid.attach.unwind import Extents

TWO = "int f(int x) { return x * 3; } int g(int x) { return f(x) + f(x + 1); }"


@pytest.mark.parametrize("name", ["SSL_read", "SSL_write", "SSL_new", "SSL_do_handshake", "SSL_get_rbio"])
def test_extents_are_those_of_symbols(system_libssl, name):
    """The system's libssl gives for each place in a function the start and size that its symbol has."""
    with Elf(system_libssl) as elf:
        symbol, extents = elf.symbol(name), Extents(elf)
        expected = range(symbol.address, symbol.address + symbol.size)
        assert {expected} == {extents.at(address) for address in expected}
        assert expected != extents.at(expected.stop)


def test_outside_of_code(system_libssl):
    """No function is told for places that are in none."""
    with Elf(system_libssl) as elf:
        assert [None, None] == [Extents(elf).at(0), Extents(elf).at(1 << 40)]


def test_file_without_tables(library):
    """A file without the tables says nothing of any function."""
    with Elf(library(TWO, "-fno-asynchronous-unwind-tables")) as elf:
        assert Extents(elf).at(elf.symbol("f").address) is None


def test_table_of_another_encoding(library):
    """A table whose header names encodings other than the usual ones is left alone."""
    path = library(TWO)
    with Elf(path) as elf:
        offset, address = elf.section(".eh_frame_hdr").offset, elf.symbol("f").address
        assert Extents(elf).at(address) is not None
    content = bytearray(path.read_bytes())
    content[offset + 3] = 0x3C
    path.write_bytes(content)
    with Elf(path) as elf:
        assert Extents(elf).at(address) is None


def test_entry_that_disagrees(library):
    """An entry that names another function than the table does gives no extent: it is encoded otherwise."""
    path = library(TWO)
    with Elf(path) as elf:
        section, address = elf.section(".eh_frame_hdr"), elf.symbol("f").address
    content = bytearray(path.read_bytes())
    for row in range(section.offset + 12, section.offset + section.size, 8):
        content[row + 4] ^= 4  # the row's FDE
    path.write_bytes(content)
    with Elf(path) as elf:
        assert Extents(elf).at(address) is None
