"""BTF from two sources: what clang makes of `records.bpf.c`, and a writer for what clang never makes."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import settings

from pellucid.decode.layout import c_fields, c_name

# A busy machine is no bug: tests are judged by what they find, not by how long an example took.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SOURCE = Path(__file__).parent / "records.bpf.c"


class Blob:
    """Writes a `.BTF` section type by type; every method that adds one returns its id."""

    # BTF_KIND_* of linux/btf.h
    INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST = range(1, 11)
    RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(11, 20)

    def __init__(self):
        self.strings = b"\0"
        self.types = []

    def add(self, kind, name="", value=0, *extra, vlen=0, flag=0):
        """One `struct btf_type`; `value` is its size or type, `extra` the 32-bit words that follow."""
        words = (self.string(name), flag << 31 | kind << 24 | vlen, value, *extra)
        self.types.append(b"".join((word & 0xFFFFFFFF).to_bytes(4, "little") for word in words))
        return len(self.types)

    def string(self, text):
        """The offset of `text` in the string section."""
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text.encode()) - 1

    def type(self, spec):
        """The type that `spec` means, such as `u32` or `char[16]`."""
        element, dimension = re.fullmatch(r"(\w+)(?:\[(\d*)\])?", spec).groups()
        bits = 8 if element == "char" else int(element[1:])
        integer = self.add(self.INT, element, bits // 8, (element[0] == "s") << 24 | bits)
        return (
            integer
            if dimension is None
            else self.add(self.ARRAY, "", 0, integer, integer, int(dimension or 0))
        )

    def struct(self, name, members, size=64):
        """A struct of (name, type id, offset in bytes)."""
        words = [word for field, id, at in members for word in (self.string(field), id, 8 * at)]
        return self.add(self.STRUCT, name, size, *words, vlen=len(members))

    def record(self, name, fields):
        """A record's struct of (name, spec), laid out as C does; `struct head` takes the first of them."""
        head = place([("type", "u32"), ("size", "u32"), *fields[:1]])
        rest = place(fields[1:], start=16)
        head_id = self.struct("head", [(field, self.type(spec), at) for field, spec, at in head], 16)
        members = [(field, self.type(spec), at) for field, spec, at in rest]
        return self.struct(name, [("head", head_id, 0), *members], 1024)

    def __bytes__(self):
        types = b"".join(self.types)
        sections = (0, len(types), len(types), len(self.strings))
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, *sections) + types + self.strings


def place(fields, start=0):
    """(name, spec, offset) of each (name, spec), with C's natural alignment."""
    for name, spec in fields:
        element, dimension = re.fullmatch(r"(\w+)(?:\[(\d*)\])?", spec).groups()
        width = 1 if element == "char" else int(element[1:]) // 8
        start = -(-start // width) * width
        yield name, spec, start
        start += width * (1 if dimension is None else int(dimension or 0))


@pytest.fixture(scope="session")
def blob():
    """The class that writes BTF."""
    return Blob


@pytest.fixture(scope="session")
def record_btf():
    """A function: a record class, and perhaps other fields than its own, to BTF with its struct."""

    def build(cls, fields=None):
        written = Blob()
        written.record(c_name(cls), list(c_fields(cls).items()) if fields is None else fields)
        return bytes(written)

    return build


@pytest.fixture(scope="session")
def clang_object(tmp_path_factory):
    """Sections of `records.bpf.c` as clang compiles it, by name."""
    assert shutil.which("clang"), "these tests compile BPF programs: install clang"
    path = tmp_path_factory.mktemp("bpf") / "records.bpf.o"
    subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-Wall", "-c", SOURCE, "-o", path], check=True)
    with path.open("rb") as file:
        return {section.name: section.data() for section in ELFFile(file).iter_sections()}


@pytest.fixture(scope="session")
def clang_btf(clang_object):
    """The raw `.BTF` section of `records.bpf.c`."""
    return clang_object[".BTF"]
