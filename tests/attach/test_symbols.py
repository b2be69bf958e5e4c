"""Symbols, addresses and names of compiled libraries, of libssl, and of damaged files."""

import os
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

SMALL = "int f(void) { return 1; } int g(void) { return 2; }"


def defined_functions(path):
    """Name to (address, size) of the exported functions, as pyelftools reads them."""
    with path.open("rb") as file:
        return {
            symbol.name: (symbol["st_value"], symbol["st_size"])
            for symbol in ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
        }


def patched(path, offset, data):
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    copy = path.with_suffix(".patched")
    copy.write_bytes(content)
    return copy


def test_symbols_agree_with_pyelftools(system_libssl):
    """Every exported function of libssl has the address and size that pyelftools reads."""
    expected = defined_functions(system_libssl)
    with Elf(system_libssl) as elf:
        actual = elf.symbols(expected)
    assert expected == {name: (symbol.address, symbol.size) for name, symbol in actual.items()}


def test_symbol_of_another_file_is_none(system_libssl):
    """A function that is only imported is not one of this file, nor is one that does not exist."""
    with Elf(system_libssl) as elf:
        assert not elf.symbols(["BIO_new", "no_such_function"])


def test_offset_is_where_the_code_lies(library):
    """The file offset of a function is where its first bytes are in the file, and maps back."""
    code = b"unmistakable"
    path = library('.globl f\n.type f,@function\nf: .ascii "unmistakable"\n.size f,.-f', language="assembler")
    with Elf(path) as elf:
        symbol = elf.symbol("f")
        assert path.read_bytes().index(code) == symbol.offset
        assert symbol.address == elf.address(symbol.offset)
        assert code == elf.code(symbol.address, symbol.size)


def test_offset_differs_from_address(system_libssl):
    """Data that is linked a page further than it lies in the file has its own offset."""
    with ELFFile.load_from_path(str(system_libssl)) as reference:
        section = reference.get_section_by_name(".data.rel.ro")
        address, offset = section["sh_addr"], section["sh_offset"]
    assert address != offset
    with Elf(system_libssl) as elf:
        assert offset == elf.offset(address)
        assert not elf.executable(address)
        assert elf.executable(elf.symbol("SSL_read").address)


def test_default_version_wins(library, tmp_path):
    """Of two versions of one function the default one is found, wherever it stands in the table."""
    script = tmp_path / "versions"
    script.write_text("OLD { global: f; local: *; }; NEW { } OLD; NEWER { } NEW;")
    path = library(
        "int a(void) { return 1; } int b(void) { return 2; } int c(void) { return 3; }"
        '__asm__(".symver a,f@OLD"); __asm__(".symver b,f@@NEW"); __asm__(".symver c,f@NEWER");',
        f"-Wl,--version-script={script}",
    )
    with Elf(path) as elf:
        assert elf.symbol("b").address == elf.symbol("f").address


def test_local_function_is_found_in_symtab(library):
    """A function that is not exported is found by the full symbol table."""
    with Elf(
        library(f'{SMALL} __attribute__((visibility("hidden"))) int secret(void) {{ return 3; }}')
    ) as elf:
        symbol = elf.symbol("secret")
        assert symbol == elf.function_at(symbol.address)


def test_stripped_file_knows_exports_only(library):
    """Without the full symbol table an exported function is still found and a local one is not."""
    source = f'{SMALL} __attribute__((visibility("hidden"))) int secret(void) {{ return 3; }}'
    with Elf(library(source, "-s")) as elf:
        assert {"f"} == elf.symbols(["f", "secret"]).keys()


def test_name_that_ends_another(library):
    """A name that the linker stored as the end of a longer one is found, and only that function."""
    with Elf(
        library("int SSL_read(void) { return 1; } int BIO_SSL_read(void) { return 2; }", "-O2", "-s")
    ) as elf:
        found = elf.symbols(["SSL_read", "BIO_SSL_read"])
        assert found["SSL_read"].address != found["BIO_SSL_read"].address
        assert found["SSL_read"] == elf.function_at(found["SSL_read"].address)


def test_indirect_function_is_none(library):
    """An indirect function's address is its resolver's, so it is not given."""
    source = 'static int g(void) { return 1; } static void *r(void) { return g; } int f(void) __attribute__((ifunc("r")));'
    with Elf(library(source)) as elf:
        assert elf.symbol("f") is None


def test_linkage_table_and_imports(system_libssl):
    """Stubs are told from functions, and a slot's relocation names the function it leads to."""
    with ELFFile.load_from_path(str(system_libssl)) as reference:
        relocations = reference.get_section_by_name(".rela.plt")
        symbols = reference.get_section(relocations["sh_link"])
        first = next(relocations.iter_relocations())
        slot, name = first["r_offset"], symbols.get_symbol(first["r_info_sym"]).name
        stub = reference.get_section_by_name(".plt")["sh_addr"]
    with Elf(system_libssl) as elf:
        assert name == elf.imported(slot)
        assert elf.imported(slot + 1) is None
        assert elf.plt(stub)
        assert not elf.plt(elf.symbol("SSL_read").address)


def test_soname_and_needed(library):
    """Soname and needed libraries are those that the linker was given."""
    path = library(SMALL, "-Wl,-soname,libx.so.7", "-Wl,--no-as-needed", "-lm")
    with Elf(path) as elf:
        expected = "libx.so.7", ("libm.so.6",)
        assert expected == (elf.soname, elf.needed)


def test_absent_names_are_none(library):
    """A library without soname and needed libraries has None and nothing."""
    with Elf(library(SMALL)) as elf:
        expected = None, ()
        assert expected == (elf.soname, elf.needed)


def test_file_without_sections_has_no_symbols(library):
    """A file whose section headers were removed is readable and names no functions."""
    with Elf(patched(library(SMALL), 60, struct.pack("<H", 0))) as elf:
        assert not elf.symbols(["f"])


@pytest.mark.parametrize(
    ("offset", "data", "message"),
    [
        (0, b"\x7fBAD", "is not an ELF file"),
        (4, b"\x01", "is not a 64-bit little-endian ELF file"),
        (16, struct.pack("<H", 1), "is neither an executable nor a shared library"),
        (18, struct.pack("<H", 40), "is for ELF machine 40"),
        (32, struct.pack("<Q", 1 << 60), "lie outside the file"),
        (58, struct.pack("<H", 40), "have 40 bytes each, not 64"),
        (62, struct.pack("<H", 999), "refers to section 999 of"),
    ],
)
def test_foreign_and_malformed_files(library, offset, data, message):
    """A file that cannot be read is refused by one line that names it and what is wrong."""
    path = patched(library(SMALL), offset, data)
    with pytest.raises(PellucidError, match=f"^{path} .*{message}"):
        Elf(path)


def test_places_that_are_no_files(tmp_path):
    """A missing file, an empty one, a folder and a named pipe are refused without waiting."""
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "empty", "pipe", "."):
        with pytest.raises(PellucidError, match=str(tmp_path)):
            Elf(tmp_path / name)


def test_closed_after_an_error(library):
    """A file that is refused leaves no descriptor open."""
    path = patched(library(SMALL), 0, b"\x7fBAD")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(PellucidError):
        Elf(path)
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def everything(path):
    """What every method says of a file, or the text of its one kind of error."""
    try:
        with Elf(path) as elf:
            found = elf.symbols(["f", "g"])
            for symbol in found.values():
                elf.code(symbol.address, symbol.size)
                elf.function_at(symbol.address)
                elf.executable(symbol.address)
                elf.plt(symbol.address)
                elf.address(symbol.offset)
            return found, elf.imported(0x1000), elf.soname, elf.needed
    except PellucidError as error:
        return str(error)


@pytest.fixture
def damaged(library, tmp_path):
    """A function that writes a damaged copy of a small library: bytes replaced, then cut to a length."""
    content = library(SMALL, "-Wl,-soname,libx.so.7").read_bytes()

    def damage(changes, length):
        copy = bytearray(content)
        for place, value in changes:
            copy[place % len(copy)] = value
        path = tmp_path / "damaged"
        path.write_bytes(copy[:length])
        return path

    return damage


# The header and the tables of segments and symbols come first in the file, the sections' last.
PLACES = st.one_of(st.integers(16, 0x3FF), st.integers(-28 * 64, -1))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(PLACES, st.integers(0, 255)), max_size=6),
    length=st.one_of(st.none(), st.integers(0, 20000)),
)
def test_damaged_files_never_raise_anything_else(damaged, changes, length):
    """However headers and tables are damaged or cut, reading works or raises one PellucidError."""
    path = damaged(changes, length)
    result = everything(path)
    assert not isinstance(result, str) or (str(path) in result and "\n" not in result)
