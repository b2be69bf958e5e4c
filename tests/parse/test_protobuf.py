"""Protobuf without a schema: what the wire tells is read as it was meant, and nothing is an error."""

from __future__ import annotations

import struct

import msgspec
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from pellucid.parse.grpc.protobuf import MAX_DEPTH, MAX_VALUES, read_fields

FIELD = descriptor_pb2.FieldDescriptorProto
FIELDS = {
    "id": (1, FIELD.TYPE_UINT64, False),
    "text": (2, FIELD.TYPE_STRING, False),
    "children": (3, FIELD.TYPE_MESSAGE, True),
    "blob": (4, FIELD.TYPE_BYTES, False),
    "signed": (5, FIELD.TYPE_INT64, False),
    "ratio": (6, FIELD.TYPE_DOUBLE, False),
    "share": (7, FIELD.TYPE_FLOAT, False),
    "words": (8, FIELD.TYPE_STRING, True),
    "far": (536_870_911, FIELD.TYPE_FIXED32, False),
}


def node_class():
    """A message class of protobuf's own library with a field of each kind."""
    file = descriptor_pb2.FileDescriptorProto(name="node.proto", package="test", syntax="proto2")
    message = file.message_type.add(name="Node")
    for name, (number, kind, repeated) in FIELDS.items():
        field = message.field.add(name=name, number=number, type=kind)
        field.label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
        if kind == FIELD.TYPE_MESSAGE:
            field.type_name = ".test.Node"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("test.Node"))


NODE = node_class()

LETTERS = st.characters(exclude_categories=["Cc", "Cs"])
TEXT = st.text(LETTERS, max_size=40)
SCALARS = {
    "text": TEXT,
    "blob": st.binary(max_size=40).map(lambda data: b"\0" + data),  # no text, and no field has the number 0
    "signed": st.integers(-(1 << 63), (1 << 63) - 1),
    "ratio": st.floats(allow_nan=False, allow_infinity=False),
    "share": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "words": st.lists(TEXT, min_size=1, max_size=3),
    "far": st.integers(0, (1 << 32) - 1),
}


def node(children):
    return st.fixed_dictionaries(
        {"id": st.integers(0, (1 << 64) - 1)},
        optional={**SCALARS, "children": st.lists(children, min_size=1, max_size=3)},
    )


NODES = st.recursive(node(st.nothing()), node, max_leaves=6)


def built(values):
    """The message that says this."""
    message = NODE()
    for name, value in values.items():
        if name == "children":
            message.children.extend(map(built, value))
        elif name == "words":
            message.words.extend(value)
        else:
            setattr(message, name, value)
    return message


def meant(name, value):
    """What a reader who knows only the wire can say of it."""
    match name:
        case "children":
            shown = [expected(child) for child in value]
            return shown[0] if len(shown) == 1 else shown
        case "words":
            return value[0] if len(value) == 1 else value
        case "blob":
            return {"base64": msgspec.to_builtins(value)}
        case "signed":
            return value % (1 << 64)
    return value


def expected(values):
    return {str(FIELDS[name][0]): meant(name, value) for name, value in values.items()}


def without_the_other_reading(shown):
    """Fixed-width numbers are shown in two readings: keep the one of the test's schema."""
    if isinstance(shown, list):
        return [without_the_other_reading(each) for each in shown]
    if not isinstance(shown, dict):
        return shown
    if "fixed64" in shown:
        return shown["double"]
    if "fixed32" in shown:
        return shown
    plain = {number: without_the_other_reading(each) for number, each in shown.items()}
    if "7" in plain:
        (plain["7"],) = struct.unpack("<f", struct.pack("<f", plain["7"]["float"]))
    if "536870911" in plain:
        plain["536870911"] = plain["536870911"]["fixed32"]
    return plain


@given(NODES)
def test_real_messages_are_read_as_they_were_meant(values):
    """Whatever protobuf's own library writes, each value stands under its field's number at its place."""
    shown = read_fields(built(values).SerializeToString())
    assert without_the_other_reading(shown) == expected(values)


@given(st.binary(), st.booleans())
def test_garbage(data, cut):
    """Any bytes give an object that JSON can hold, or None."""
    shown = read_fields(data, cut=cut)
    assert shown is None or isinstance(msgspec.json.encode(shown), bytes)


def as_list(value):
    return value if isinstance(value, list) else [value]


@given(NODES, st.data())
def test_a_beginning(values, data):
    """Of a message that is cut, the fields are shown that are whole; without the word that it is cut it is none."""
    whole = built(values).SerializeToString(deterministic=True)
    at = data.draw(st.integers(0, len(whole)))
    shown = read_fields(whole[:at], cut=True)
    fields = read_fields(whole)
    assert shown is not None
    for number, value in shown.items():
        assert as_list(value) == as_list(fields[number])[: len(as_list(value))]
    if read_fields(whole[:at]) is not None:
        assert read_fields(whole[:at]) == shown


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", {}),
        ("0800", {"1": 0}),
        ("08ffffffffffffffffff01", {"1": (1 << 64) - 1}),
        ("0a00", {"1": ""}),
        ("0a0161", {"1": "a"}),
        ("0a0161 0a0162", {"1": ["a", "b"]}),
        ("0a020801", {"1": {"1": 1}}),
        ("0a00 0a020801", {"1": [{}, {"1": 1}]}),
        ("0a0c 0a0a 30313233343536373839", {"1": {"1": "0123456789"}}),
        ("0a02 0a62", {"1": "\nb"}),
        ("0a04 01020304", {"1": {"base64": "AQIDBA=="}}),
        ("0a03 1b5b6d", {"1": {"base64": "G1tt"}}),
        ("0a04 f09f8d8e", {"1": "🍎"}),
        ("0d c3f54840", {"1": {"fixed32": 1078523331, "float": 3.14}}),
        ("09 ffffffffffffffff", {"1": {"fixed64": (1 << 64) - 1, "double": None}}),
        ("0b 1001 0c", {"1": {"2": 1}}),
        ("0b 0b 0c 0c 0b 0c", {"1": [{"1": {}}, {}]}),
    ],
)  # fmt: skip
def test_by_hand(data, expected):
    """Each wire type, and each guess, at its edges."""
    assert read_fields(bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("00", "no field has the number 0"),
        ("c0a309 01", "19000 is reserved"),
        ("0e", "6 is no wire type"),
        ("08", "no value"),
        ("08ffffffffffffffffff02", "more than 64 bits"),
        ("08ffffffffffffffffffff01", "more than ten bytes"),
        ("0a0561", "shorter than it says"),
        ("0d 010203", "three bytes of four"),
        ("0c", "a group ends that has not begun"),
        ("0b 14", "another group ends"),
        ("0b", "a group does not end"),
        ("0801 0a0161", "one field with two wire types"),
    ],
)
def test_what_is_no_message(data, why):
    """Bytes that no schema can have made are refused."""
    assert read_fields(bytes.fromhex(data)) is None, why


def nested(depth):
    message = NODE(id=1)
    for _ in range(depth):
        message = NODE(id=1, children=[message])
    return message.SerializeToString()


def test_depth():
    """Messages deeper than `MAX_DEPTH` are shown as bytes there."""
    shown = read_fields(nested(MAX_DEPTH + 2))
    for _ in range(MAX_DEPTH):
        shown = shown["3"]
    assert set(shown["3"]) == {"base64"}
    assert read_fields(bytes([0x0B] * 200_000)) is None


def test_number_of_values():
    """One value more than `MAX_VALUES` is too many, wherever the values are."""
    value = b"\x10\x01"
    assert read_fields(value * MAX_VALUES) == {"2": [1] * MAX_VALUES}
    assert read_fields(value * (MAX_VALUES + 1)) is None
    inner = NODE(blob=value * MAX_VALUES).SerializeToString()
    assert read_fields(inner) is None
