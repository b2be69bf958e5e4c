"""What a BPF object's types say, from clang and from blobs that clang would never write."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.decode.btf import Btf, Member, Variable
from pellucid.errors import FormatError

REFUSED = {
    "with_pointer": "ptr",
    "with_union": "union",
    "with_bits": "a bit-field",
    "with_float": "float double",
    "with_structs": r"struct head\[2\]",
    "with_grid": r"u8\[2\]\[2\]",
}


def header(types, strings, *, magic=0xEB9F, version=1, length=24):
    """A BTF header for sections of these lengths, one after the other."""
    return struct.pack("<HBBIIIII", magic, version, 0, length, 0, types, types, strings)


def ask_everything(raw):
    """Every question that the stage asks of BTF."""
    btf = Btf(raw)
    for name in ("", "data", "head", "loop"):
        btf.struct(name)
    btf.variables(".rodata")


def test_nested_structs_are_flattened(clang_btf):
    """Nested, anonymous and qualified members appear as plain ones, at their offsets in the outer struct."""
    expected = (
        Member("direction", "u32", 0),
        Member("flag", "u8", 4),
        Member("ports", "u16[2]", 8),
        Member("x", "s64", 16),
        Member("y", "s8[4]", 24),
        Member("name", "char[3]", 32),
        Member("letter", "char", 35),
        Member("rest", "s16[]", 36),
    )
    point = Btf(clang_btf).struct("point")
    assert expected == point.members
    assert point.size == 40


def test_ids_are_the_tags_that_programs_write(clang_object):
    """A struct's id is what bpf_core_type_id_local gives to the program."""
    code = clang_object["uprobe"]
    words = [code[at : at + 8] for at in range(0, len(code), 8)]
    loaded = [
        int.from_bytes(word[4:], "little") for word in words if word[:1] == b"\x18"
    ]  # BPF_LD | BPF_IMM | BPF_DW
    constants = [value for value in loaded if value]  # without addresses, which the loader fills in
    btf = Btf(clang_object[".BTF"])
    assert [btf.struct(name).id for name in ("opened", "data", "missed", "closed")] == constants[:4]


def test_absent_struct(clang_btf):
    """A struct that the object does not have is None, also where another kind has its name."""
    btf = Btf(clang_btf)
    assert btf.struct("nowhere") is None
    assert btf.struct("u32") is None


@pytest.mark.parametrize(("name", "what"), REFUSED.items())
def test_types_that_cannot_cross(clang_btf, name, what):
    """A pointer, union, bit-field, float or array of more than integers is refused by struct and field."""
    with pytest.raises(FormatError, match=f"^struct {name}: field refused is {what}"):
        Btf(clang_btf).struct(name)


def test_empty_struct(clang_btf):
    """A member without members is refused by struct and field."""
    with pytest.raises(FormatError, match=r"^struct with_nothing: field refused is a struct that is empty"):
        Btf(clang_btf).struct("with_nothing")


def test_old_bit_field(blob):
    """Without kind_flag, an integer of fewer bits than its size is a bit-field too."""
    written = blob()
    narrow = written.add(blob.INT, "unsigned int", 4, 3)
    written.struct("data", [("few", narrow, 0)])
    with pytest.raises(FormatError, match=r"^struct data: field few is a bit-field"):
        Btf(bytes(written)).struct("data")


@pytest.mark.parametrize(("flag", "sign"), [(0, "u"), (1, "s")])
def test_enums_are_integers(blob, flag, sign):
    """An enum of any size counts as the integer of its size and sign."""
    written = blob()
    small = written.add(blob.ENUM, "small", 1, written.string("ONE"), 1, vlen=1, flag=flag)
    large = written.add(blob.ENUM64, "large", 8, written.string("MANY"), 0, 1, vlen=1, flag=flag)
    written.struct("data", [("small", small, 0), ("large", large, 8)])
    members = Btf(bytes(written)).struct("data").members
    assert [f"{sign}8", f"{sign}64"] == [member.spec for member in members]


@pytest.mark.parametrize("kind", ["TYPEDEF", "VOLATILE", "CONST", "RESTRICT", "TYPE_TAG"])
def test_aliases(blob, kind):
    """A name, qualifier or tag on a type changes nothing about how it is read."""
    written = blob()
    alias = written.add(getattr(blob, kind), "alias", written.type("u16"))
    written.struct("data", [("field", alias, 2)])
    assert (Member("field", "u16", 2),) == Btf(bytes(written)).struct("data").members


def test_every_kind_is_walked_past(blob):
    """Each kind of linux/btf.h has the length that the walk gives it: the struct after them all is found."""
    written = blob()
    u32 = written.type("u32[4]")
    for kind in (blob.PTR, blob.TYPEDEF, blob.VOLATILE, blob.CONST, blob.RESTRICT, blob.FUNC, blob.TYPE_TAG):
        written.add(kind, "reference", u32)
    written.add(blob.UNION, "either", 4, 0, u32, 0, 0, u32, 0, vlen=2)
    written.add(blob.ENUM, "few", 4, 0, 1, 0, -1, vlen=2)
    written.add(blob.FWD, "elsewhere")
    written.add(blob.FUNC_PROTO, "", u32, 0, u32, 0, u32, vlen=2)
    variable = written.add(blob.VAR, "setting", u32, 1)
    written.add(blob.DATASEC, ".data", 4, variable, 0, 4, vlen=1)
    written.add(blob.FLOAT, "double", 8)
    written.add(blob.DECL_TAG, "note", u32, -1)
    written.add(blob.ENUM64, "many", 8, 0, 1, 0, 0, 2, 0, vlen=2)
    id = written.struct("data", [("last", u32, 8)], 24)
    assert (id, "data", 24, (Member("last", "u32[4]", 8),)) == Btf(bytes(written)).struct("data")


def test_variables_of_clang(clang_btf):
    """A section's variables have clang's sizes and types; what no record may hold is only named."""
    variables = Btf(clang_btf).variables(".rodata")
    expected = {
        "only_pid": (4, "u32"),
        "verbose": (1, "u8"),
        "cgroups": (64, "u64[8]"),
        "start": (16, "struct head"),
    }
    assert expected == {name: (variable.size, variable.spec) for name, variable in variables.items()}


def test_variables_have_offsets(blob):
    """Offsets are those of the section's entries; functions among them (.ksyms) are left out."""
    written = blob()
    pid = written.add(blob.VAR, "pid", written.type("u32"), 1)
    uid = written.add(blob.VAR, "uid", written.type("u64"), 1)
    function = written.add(blob.FUNC, "bpf_something", 0)
    written.add(blob.DATASEC, ".rodata", 16, pid, 0, 4, uid, 8, 8, function, 0, 0, vlen=3)
    expected = {"pid": Variable(0, 4, "u32"), "uid": Variable(8, 8, "u64")}
    assert expected == Btf(bytes(written)).variables(".rodata")
    assert Btf(bytes(written)).variables(".bss") == {}


def test_longer_header():
    """A header that newer kernels made longer is skipped by its own length."""
    raw = header(0, 1, length=32) + bytes(8) + b"\0"
    assert Btf(raw).struct("data") is None


@pytest.mark.parametrize(
    "raw",
    [
        header(0, 1, version=2) + b"\0",
        header(0, 1, magic=0x9FEB) + b"\0",
        header(0, 1, length=23) + b"\0",
    ],
    ids=["version", "big-endian", "header"],
)
def test_other_formats(raw):
    """What is not little-endian BTF version 1 is refused as that."""
    with pytest.raises(FormatError, match="not little-endian BTF version 1"):
        Btf(raw)


def test_every_cut_is_noticed(clang_btf):
    """BTF that lacks its end, wherever it was cut, is refused."""
    for length in range(len(clang_btf)):
        with pytest.raises(FormatError):
            Btf(clang_btf[:length])


def test_type_section_ends_inside_a_type(blob):
    """A type section that ends before the last type's entries do is refused."""
    written = blob()
    written.add(blob.STRUCT, "data", 4, vlen=1)
    with pytest.raises(FormatError, match="cut short"):
        Btf(bytes(written))


def test_unknown_kind(blob):
    """A kind that is not known has no known length, so the blob is refused."""
    written = blob()
    written.add(20, "future")
    with pytest.raises(FormatError, match="kind 20"):
        Btf(bytes(written))


def test_name_outside_the_strings(blob):
    """A name offset past the string section is refused."""
    written = blob()
    written.types.append(struct.pack("<III", 99, blob.FLOAT << 24, 8))
    with pytest.raises(FormatError, match="string 99"):
        Btf(bytes(written))


def test_type_that_does_not_exist(blob):
    """A member of the type after the last one is refused."""
    written = blob()
    written.struct("data", [("field", 2, 0)])
    with pytest.raises(FormatError, match="type 2 does not exist"):
        Btf(bytes(written)).struct("data")


@pytest.mark.parametrize("kind", ["TYPEDEF", "ARRAY", "STRUCT"])
def test_types_that_contain_themselves(blob, kind):
    """A type made of itself ends in an error, not in endless recursion."""
    written = blob()
    written.add(
        getattr(blob, kind), "loop", 1, *{"ARRAY": (1, 1, 2), "STRUCT": (0, 1, 0)}.get(kind, ()), vlen=1
    )
    written.struct("data", [("field", 1, 0)])
    with pytest.raises(FormatError, match="deeper than 32"):
        Btf(bytes(written)).struct("data")


def test_structs_that_multiply(blob):
    """Thirty structs that each hold the one before twice are refused before a billion fields are made."""
    written = blob()
    type = written.type("u8")
    for level in range(30):
        type = written.struct(f"level{level}", [("a", type, 0), ("b", type, 0)])
    with pytest.raises(FormatError, match="more than 1024 fields"):
        Btf(bytes(written)).struct("level29")


def test_two_structs_of_one_name(blob):
    """Where one name means two structs, none is picked by chance."""
    written = blob()
    for spec in ("u32", "u64"):
        written.struct("data", [("field", written.type(spec), 0)])
    with pytest.raises(FormatError, match="struct data is defined 2 times"):
        Btf(bytes(written)).struct("data")


@given(raw=st.binary(max_size=200))
def test_random_bytes(raw):
    """No bytes at all raise anything but FormatError."""
    with pytest.raises(FormatError):
        ask_everything(raw)


@given(
    words=st.lists(st.integers(0, 40) | st.sampled_from([k << 24 | n for k in range(21) for n in range(3)]))
)
def test_random_types(words):
    """Random types behind a right header raise FormatError or are understood, and nothing else."""
    types = struct.pack(f"<{len(words)}I", *words)
    strings = b"\0data\0head\0.rodata\0"
    with suppress(FormatError):
        ask_everything(header(len(types), len(strings)) + types + strings)


@given(data=st.data())
def test_damaged_blob(clang_btf, data):
    """Real BTF with some bytes changed raises FormatError or is understood, and nothing else."""
    raw = bytearray(clang_btf)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FormatError):
        ask_everything(bytes(raw))
