"""A record class against its C struct: agreed on, they read records; differing, they are refused."""

from __future__ import annotations

import struct
from typing import Annotated, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.decode.btf import Btf
from pellucid.decode.layout import c_fields, c_name, decoder, decoders
from pellucid.errors import FormatError
from pellucid.model import (
    RECORDS,
    Closed,
    Data,
    Established,
    Finished,
    Gone,
    Keyed,
    Left,
    Line,
    Missed,
    Opened,
    Process,
    Prompted,
    Ran,
    Secret,
    Typed,
    Words,
    u64,
)

LOCAL, REMOTE = bytes(range(16)), bytes(range(16, 32))
COMM = b"nginx".ljust(16, b"\0")
TERMINAL = b"pts3".ljust(64, b"\0")

# By hand from records.bpf.c: (the record, its bytes), with 0xEE where the compiler leaves a hole.
SAMPLES = [
    (Process(1, 2, 3, 4, b"a\0b\0"), struct.pack("<II2QI2H", 0, 36, 1, 2, 3, 4, 4) + b"a\0b\0"),
    (Gone(1, 2), struct.pack("<IIQI", 0, 24, 1, 2) + b"\xee" * 4),
    (
        Opened(2**63, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, LOCAL, REMOTE, COMM, 3, b"a\0h2"),
        struct.pack("<II2Q4I5H2B", 0, 106, 2**63, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1)
        + LOCAL
        + REMOTE
        + COMM
        + struct.pack("<H", 3)
        + b"a\0h2",
    ),
    (Data(1, 2, 3, 4, 1, b"GET /"), struct.pack("<II3QIB", 0, 42, 1, 2, 3, 4, 1) + b"GET /"),
    (Data(1, 2, 3, 4, 0, b""), struct.pack("<II3QIB", 0, 37, 1, 2, 3, 4, 0)),
    (Missed(1, 2, 3, 2**40, 1, 2), struct.pack("<II4QBB", 0, 48, 1, 2, 3, 2**40, 1, 2) + b"\xee" * 6),
    (Prompted(1, 2, -3, 1), struct.pack("<IIQIiB", 0, 32, 1, 2, -3, 1) + b"\xee" * 7),
    (
        Line(1, 2, 3, 4, 1, 3, COMM, TERMINAL, b"/home"),
        struct.pack("<IIQ3I2B", 0, 115, 1, 2, 3, 4, 1, 3) + COMM + TERMINAL + b"/home",
    ),
    (Typed(1, 2, 3, 1, b"ls"), struct.pack("<IIQIIB", 0, 27, 1, 2, 3, 1) + b"ls"),
    (Left(1, 2, 256, 1), struct.pack("<IIQIiB", 0, 32, 1, 2, 256, 1) + b"\xee" * 7),
    (Keyed(1, 2), struct.pack("<II2Q", 0, 24, 1, 2)),
    (
        Secret(1, 2, 3, 4, 5, 6, 7, 1, b"comm".ljust(16, b"\0"), bytes(range(32)), b"key"),
        struct.pack("<II2Q4I2B16s", 0, 93, 1, 2, 3, 4, 5, 6, 7, 1, b"comm") + bytes(range(32)) + b"key",
    ),
    (
        Established(1, 2, 3, 4, 5, 6, 0x1302, b"comm".ljust(16, b"\0"), bytes(range(32)), b"memory"),
        struct.pack("<II2Q4IH16s", 0, 96, 1, 2, 3, 4, 5, 6, 0x1302, b"comm") + bytes(range(32)) + b"memory",
    ),
    (
        Ran(1, 2, 9, 3, 4, 5, 6, -7, 1, 0, 0, COMM, TERMINAL, b"/home"),
        struct.pack("<IIQQQ4Ii2BH", 0, 141, 1, 2, 9, 3, 4, 5, 6, -7, 1, 0, 0) + COMM + TERMINAL + b"/home",
    ),
    (Words(1, 9, 2, 3, 1, 0, b"a\0b"), struct.pack("<IIQQI3B", 0, 34, 1, 9, 2, 3, 1, 0) + b"a\0b"),
    (Finished(1, 2, 3, -4), struct.pack("<IIQQIi", 0, 32, 1, 2, 3, -4)),
    (Closed(1, 2, 3, 4), struct.pack("<II4Q", 0, 40, 1, 2, 3, 4)),
]

FIXED = {
    Process: 32, Gone: 24, Opened: 102, Data: 37, Missed: 48, Closed: 40, Prompted: 32, Line: 110, Typed: 25, Left: 32,
    Secret: 90, Established: 90,
    Ran: 136, Words: 31, Finished: 32,
    Keyed: 24,
}  # fmt: skip

# Each alteration takes a struct's (name, spec) list and the place of one field in it.
OTHER_SIZE = {
    "u8": "u16",
    "u16": "u32",
    "u32": "u64",
    "u64": "u32",
    "s32": "s64",
    "u8[32]": "u8[16]",
    "u8[16]": "u8[8]",
    "char[16]": "char[17]",
    "char[64]": "char[63]",
    "u8[]": "u8[4]",
}


def resized(fields, at):
    """The field has another size."""
    name, spec = fields[at]
    return [*fields[:at], (name, OTHER_SIZE[spec]), *fields[at + 1 :]]


def retyped(fields, at):
    """The field has the same size, and another sign or element."""
    name, spec = fields[at]
    element = {"u": "s", "s": "u"}.get(spec[0])
    return [*fields[:at], (name, f"{element}{spec[1:]}" if element else f"u8{spec[4:]}"), *fields[at + 1 :]]


def reordered(fields, at):
    """The field has changed places with the next one; the last with the one before."""
    first = min(at, len(fields) - 2)
    return [*fields[:first], fields[first + 1], fields[first], *fields[first + 2 :]]


def renamed(fields, at):
    """The field has another name."""
    return [*fields[:at], (f"{fields[at][0]}_", fields[at][1]), *fields[at + 1 :]]


def removed(fields, at):
    """The field is not there."""
    return fields[:at] + fields[at + 1 :]


def read(raw, cls):
    """The only decoder of the object for this class."""
    [found] = decoders(Btf(raw), [cls]).values()
    return found


@pytest.mark.parametrize(("record", "payload"), SAMPLES)
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_records_of_clang(clang_btf, record, payload, view):
    """Every record class reads its bytes as clang lays them out, from bytes and from a view of the ring."""
    decoded = read(clang_btf, type(record))(view(payload))
    assert record == decoded
    assert [type(field) for field in record] == [type(field) for field in decoded]
    assert type(decoded) is type(record)


def test_every_record_has_a_sample():
    """No record class is left out of the test above."""
    assert set(RECORDS) == {type(record) for record, _ in SAMPLES}


@pytest.mark.parametrize("cls", RECORDS)
@given(payload=st.binary(max_size=150))
def test_fixed_part(clang_btf, cls, payload):
    """Any bytes as long as the fixed part are a record; fewer are a FormatError that names it."""
    decode = read(clang_btf, cls)
    if len(payload) < FIXED[cls]:
        with pytest.raises(FormatError, match=f"a {c_name(cls)} record has {len(payload)} bytes, fewer than"):
            decode(payload)
    else:
        assert isinstance(decode(payload), cls)


@pytest.mark.parametrize(("cls", "size"), FIXED.items())
def test_one_byte_too_few(clang_btf, cls, size):
    """The fixed part is needed to its last byte."""
    decode = read(clang_btf, cls)
    assert isinstance(decode(bytes(size)), cls)
    with pytest.raises(FormatError, match=f"{size - 1} bytes, fewer than its {size} fixed ones"):
        decode(bytes(size - 1))


@pytest.mark.parametrize("cls", RECORDS)
def test_unaltered(record_btf, cls):
    """The struct that the next test alters is agreed on while it is unaltered."""
    assert callable(read(record_btf(cls), cls))


@pytest.mark.parametrize("alter", [resized, retyped, reordered, renamed, removed])
@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in RECORDS for name in c_fields(cls)])
def test_every_alteration_is_refused(record_btf, cls, name, alter):
    """Whatever field of whatever record differs in C, the error names the struct and the field."""
    fields = list(c_fields(cls).items())
    altered = alter(fields, list(c_fields(cls)).index(name))
    with pytest.raises(FormatError, match=rf"^struct {c_name(cls)}: field .*\b{name}\b"):
        decoders(Btf(record_btf(cls, altered)), [cls])


def test_message_says_what_differs(record_btf):
    """The error tells a missing field, another type and another order apart, with both sides."""
    fields = list(c_fields(Closed).items())
    messages = []
    for alter in (removed, resized, reordered):
        with pytest.raises(FormatError) as caught:
            decoders(Btf(record_btf(Closed, alter(fields, 2))), [Closed])
        messages.append(str(caught.value))
    assert messages == [
        "struct closed: field read is missing",
        "struct closed: field read is u32, and Closed declares u64",
        "struct closed: field written lies before read, and Closed declares it after",
    ]


def test_other_members_are_skipped(record_btf):
    """Members that the class does not name, and padding, may stand anywhere."""
    extra = [("time", "u64"), ("pad", "u8"), ("connection", "u64"), ("cpu", "u16"), ("read", "u64")]
    decode = read(
        record_btf(Closed, [*extra, ("pad2", "u8[3]"), ("written", "u64"), ("notes", "u8[]")]), Closed
    )
    payload = struct.pack("<IIQB7xQH6xQ3x5xQ", 0, 0, 1, 0xEE, 2, 0xEEEE, 3, 4)
    assert Closed(1, 2, 3, 4) == decode(payload)


def test_head_is_demanded(blob):
    """A struct that does not begin with the head's tag and size is no record."""
    written = blob()
    written.struct("closed", [("time", written.type("u64"), 0)])
    with pytest.raises(FormatError, match="struct closed does not begin with struct head"):
        decoders(Btf(bytes(written)), [Closed])


def test_ambiguous_name(record_btf):
    """A name that nested structs bring twice is refused, for either could be meant."""
    fields = [*c_fields(Closed).items(), ("read", "u64")]
    with pytest.raises(FormatError, match="struct closed: field read is there more than once"):
        decoders(Btf(record_btf(Closed, fields)), [Closed])


def test_overlapping_members(blob):
    """Members that lie in each other, or outside the struct, are refused."""
    for place, size in ((12, 64), (60, 64)):
        written = blob()
        u32, u64 = written.type("u32"), written.type("u64")
        at = [("type", u32, 0), ("size", u32, 4), ("time", u64, 8), ("connection", u64, place)]
        written.struct("closed", [*at, ("read", u64, 68), ("written", u64, 76)], size)
        with pytest.raises(FormatError, match="inside the field before it"):
            decoders(Btf(bytes(written)), [Closed])


class Wide(NamedTuple):
    """Asks for more numbers than one."""

    time: u64
    values: Annotated[bytes, "u32[4]"]


class Untyped(NamedTuple):
    """Forgot a C type."""

    time: int


def test_types_without_a_python_value(record_btf):
    """A type that both sides declare, but no record holds, is refused by struct and field."""
    with pytest.raises(FormatError, match=r"struct wide: field values is u32\[4\]: only .* can be read"):
        decoders(Btf(record_btf(Wide)), [Wide])


def test_tail_must_end_the_struct(record_btf):
    """A flexible array before the last member cannot be the rest of the record."""
    fields = [*c_fields(Data).items(), ("cpu", "u32")]
    with pytest.raises(FormatError, match="struct data: field bytes"):
        decoders(Btf(record_btf(Data, fields)), [Data])


def test_class_without_c_types(record_btf):
    """A class that forgot a C type is told which field."""
    raw = record_btf(Untyped, [("time", "u64")])
    with pytest.raises(
        FormatError, match="struct untyped: field time is u64, and Untyped declares no C type"
    ):
        decoders(Btf(raw), [Untyped])


def test_only_known_structs(record_btf):
    """Classes whose struct the object lacks are left out; the key is the struct's type id."""
    btf = Btf(record_btf(Missed))
    assert [btf.struct("missed").id] == list(decoders(btf, RECORDS))


def test_decoder_takes_one_struct(record_btf):
    """A struct and a class can be brought together without the rest of the object."""
    decode = decoder(Btf(record_btf(Closed)).struct("closed"), Closed)
    assert Closed(1, 2, 3, 4) == decode(struct.pack("<II4Q", 0, 40, 1, 2, 3, 4).ljust(1024))


@pytest.mark.parametrize(("name", "expected"), [("Opened", "opened"), ("HttpReply", "http_reply")])
def test_snake_case(name, expected):
    """A class's C struct has its name in snake case."""
    assert expected == c_name(type(name, (), {}))
