"""`--proto`: sources and descriptor sets become a schema, and what cannot become one is told in one line."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from pellucid.errors import PellucidError
from pellucid.protos import read_schema
from tests.shell import RECORDINGS, only_line, pellucid

PROTOS = Path(__file__).parent / "protos"
SHOP = PROTOS / "shop" / "shop.proto"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """A descriptor set of the shop, made by protoc as the documentation says."""
    path = tmp_path_factory.mktemp("set") / "shop.pb"
    assert shutil.which("protoc"), "protoc is missing: apt-get install protobuf-compiler"
    subprocess.run(
        ["protoc", f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={path}", SHOP], check=True
    )
    return path


def without(compiled: Path, name: str, folder: Path) -> Path:
    """The same set, lacking one of its files."""
    files = FileDescriptorSet.FromString(compiled.read_bytes()).file
    path = folder / "lacking.pb"
    path.write_bytes(
        FileDescriptorSet(file=[file for file in files if file.name != name]).SerializeToString()
    )
    return path


def test_a_source_and_its_descriptor_set_are_the_same_schema(compiled: Path) -> None:
    """Both know the method's types; imports of a source are found above its folder."""
    for path in (SHOP, compiled):
        schema = read_schema([path])
        assert schema.services == {"shop.Shop"}
        method = schema.method("/shop.Shop/Watch")
        assert method is not None
        assert (method.request.name, method.response.name) == ("shop.Order", "shop.Receipt")


def test_the_json_mapping(compiled: Path) -> None:
    """Fields and enums have the schema's names; times, bytes and integers of 64 bits are text, as protobuf has it."""
    method = read_schema([compiled]).method("/shop.Shop/Buy")
    assert method is not None
    item = "1213 0a03746561 1002 190000000000000440 2201ff"
    data = bytes.fromhex(f"082a {item} 1a05 0a0161 1001 2202 0801 2a02 0102")
    assert method.request.read(data) == (
        {
            "order_number": "42",
            "items": [{"name": "tea", "size": "LARGE", "price": 2.5, "picture": "/w=="}],
            "counts": {"a": 1},
            "at": "1970-01-01T00:00:01Z",
            "offsets": [-1, 1],
        },
        None,
    )


def test_several_files(compiled: Path, tmp_path: Path) -> None:
    """Services of all files are known, also where files define the same messages."""
    other = tmp_path / "other.proto"
    other.write_text(
        'syntax = "proto3"; package shop; message Order { int32 other = 1; } service Other { rpc Do(Order) returns (Order); }'
    )
    schema = read_schema([SHOP, other, compiled])
    assert schema.services == {"shop.Shop", "shop.Other"}
    method = schema.method("/shop.Other/Do")
    assert method is not None
    assert method.request.read(b"\x08\x01") == ({"other": 1}, None)


def test_a_set_without_protobufs_own_files(compiled: Path, tmp_path: Path) -> None:
    """google/protobuf/timestamp.proto need not be in it: the runtime has it."""
    path = without(compiled, "google/protobuf/timestamp.proto", tmp_path)
    assert read_schema([path]).services == {"shop.Shop"}


def test_a_source_without_protoc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any compiler, what to install, and what to give instead, is said in one line."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        PellucidError, match=r"^\S+shop.proto needs protoc.*install it .* or give a descriptor set"
    ):
        read_schema([SHOP])


def bad(folder: Path, compiled: Path) -> dict[str, Path]:
    files = {
        "syntax.proto": b"message {",
        "import.proto": b'syntax = "proto3"; import "not/there.proto";',
        "no_service.proto": b'syntax = "proto3"; message A {}',
        "text.pb": b"this is not a descriptor set\n",
        "empty.pb": b"",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {
        **{name: folder / name for name in files},
        "missing": folder / "missing.proto",
        "folder": folder,
        "lacking": without(compiled, "shop/item.proto", folder),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("syntax.proto", "cannot compile .*syntax.proto: .*syntax.proto:1:9: Expected message name"),
        ("import.proto", "cannot compile .*not/there.proto: File not found.*or give a descriptor set"),
        ("no_service.proto", "no service is defined in .*no_service.proto"),
        ("text.pb", "text.pb is neither a .proto file nor a descriptor set .made by protoc"),
        ("empty.pb", "no service is defined in"),
        ("missing", "cannot read .*missing.proto: No such file or directory"),
        ("folder", "cannot read .*: Is a directory"),
        ("lacking", "lacking.pb is not whole: .*shop/item.proto.*--include_imports"),
    ],
)
def test_what_is_no_schema(compiled: Path, tmp_path: Path, name: str, words: str) -> None:
    """What is wrong, with which file, in one line."""
    with pytest.raises(PellucidError, match=words) as raised:
        read_schema([bad(tmp_path, compiled)[name]])
    assert "\n" not in str(raised.value)


def test_the_flag(tmp_path: Path) -> None:
    """A file that is no schema ends the command, before it has read or written anything, with one line and status 1."""
    output = tmp_path / "events"
    answer = pellucid(
        "replay", RECORDINGS / "clear.pellucid", "--proto", "nowhere.pb", "-o", f"json:{output}"
    )
    assert only_line(answer, 1) == "cannot read nowhere.pb: No such file or directory"
    assert not output.exists()
