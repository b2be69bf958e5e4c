"""ELF files that were made to cost memory or time: sparse ones of a few KiB on the disk, as anybody can map."""

import os
import struct
import tracemalloc

import pytest

from pellucid.attach import elf as limits
from pellucid.attach.elf import SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, SHT_VERSYM
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

MIB = 1 << 20
LOAD = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 4096, 4096, 4096)


def symbol(name, value):
    """A function, as .symtab has it."""
    return struct.pack("<IBxHQQ", name, 2, 1, value, 16)


@pytest.fixture
def made(tmp_path):
    """A function that writes a file of these sections (type, link, size, last bytes); a hole before the bytes.

    Section 0 is the names' table; sections may be told several times, and then share their place.
    """

    def write(*sections):
        path = tmp_path / "made"
        start = 64 + len(LOAD) + 64 * len(sections)
        places, rows = {}, []
        with path.open("wb") as file:
            for type, link, size, content in sections:
                if content not in places:
                    places[content] = start
                    file.seek(start + size - len(content))
                    file.write(content)
                    start += size
                rows.append(struct.pack("<IIQQQQIIQQ", 0, type, 0, 0, places[content], size, link, 0, 0, 0))
            file.seek(0)
            file.write(b"\x7fELF\x02\x01\x01".ljust(16, b"\0"))
            file.write(struct.pack("<HHIQQQI", 3, 62, 1, 0, 64, 64 + len(LOAD), 0))
            file.write(struct.pack("<HHHHHH", 64, 56, 1, 64, len(rows), 0))
            file.write(LOAD + b"".join(rows))
        return path

    return write


NAMES = (SHT_STRTAB, 0, 1, b"\0")


def test_big_tables_are_not_kept(made):
    """In a string table of 256 MiB a name is found at the end, and across two pieces, in less than 24 MiB."""
    size, across = 256 * MIB, limits._PIECE - 4
    text = b"SSL_read\0".ljust(size - across - 9, b"\0")[: 4 * MIB]
    strings = (SHT_STRTAB, 0, size, b"SSL_write\0")
    path = made(NAMES, strings, (SHT_SYMTAB, 1, 48, symbol(across, 32) + symbol(size - 10, 64)))
    with path.open("r+b") as file, Elf(path) as elf:
        file.seek(elf._sections[1].offset + across)
        file.write(text[:9])
    tracemalloc.start()
    with Elf(path) as elf:
        found = elf.symbols(["SSL_read", "SSL_write"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {name: each.address for name, each in found.items()} == {"SSL_read": 32, "SSL_write": 64}
    assert peak < 24 * MIB


@pytest.mark.parametrize("size", [(1 << 29) + 1, 1 << 40])
def test_bigger_tables_are_refused(size, made):
    """A file whose tables in all are larger than any known file's is refused, before they are read."""
    with pytest.raises(PellucidError, match="bytes of symbols and the like are more than any file has"):
        Elf(made(NAMES, (SHT_STRTAB, 0, size, b"SSL_read\0")))


def test_too_many_sections_are_refused(made):
    """A file of 20,000 sections is refused by its header."""
    with pytest.raises(PellucidError, match="1 segments and 20000 sections are more than any file has"):
        Elf(made(NAMES, *[(1, 0, 8, b"section")] * 19_999))


@pytest.mark.parametrize("repeated", ["string", "symbol"])
def test_a_name_again_and_again_is_refused(repeated, made):
    """A file that has one of the names that are looked for thousands of times is refused."""
    number = 5000
    strings = b"\0" + b"SSL_read\0" * (number if repeated == "string" else 1)
    symbols = symbol(1, 32) * (number if repeated == "symbol" else 1)
    versions = struct.pack("<H", 0x8001) * number
    path = made(
        NAMES,
        (SHT_STRTAB, 0, len(strings), strings),
        (SHT_DYNSYM, 1, len(symbols), symbols),
        (SHT_VERSYM, 2, len(versions), versions),
    )
    with Elf(path) as elf, pytest.raises(PellucidError, match="the same few names more than 4096 times"):
        elf.symbols(["SSL_read"])


def test_reading_ends(made, monkeypatch):
    """A file that takes longer than the limit is left alone, and the reason says so."""
    path = made(NAMES)
    monkeypatch.setattr(limits, "_LONGEST_S", -1.0)
    with pytest.raises(PellucidError, match=f"^{path} is left alone: to read it took more than -1 s"):
        Elf(path)


def test_tables_of_another_kind_are_refused(made):
    """Names are taken from a string table only: of other sections nobody has limited the size."""
    path = made(NAMES, (1, 0, 1 << 40, b"SSL_read\0"), (SHT_SYMTAB, 1, 24, symbol(0, 32)))
    with Elf(path) as elf, pytest.raises(PellucidError, match="section 1 is of type 1"):
        elf.symbols(["SSL_read"])


def test_a_file_system_that_hands_out_less(monkeypatch):
    """What read(2) gives in pieces, as 9p does, is as whole as what it gives at once."""
    with Elf("/bin/sh") as elf:
        whole = elf.imports(["execve", "read", "write"])
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 100), at))
    with Elf("/bin/sh") as elf:
        assert elf.imports(["execve", "read", "write"]) == whole != set()
