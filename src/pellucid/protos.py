"""The files of `--proto`: sources, which are compiled, and descriptor sets, into one schema.

This is imported only where there are any, for protobuf's runtime takes 7 MiB and 70 ms of the start.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from pellucid.errors import PellucidError
from pellucid.parse.grpc.schema import WELL_KNOWN, Schema, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOW = "protoc --include_imports --descriptor_set_out=FILE ..."
_PATIENCE = 60
"""Seconds for compiling one file; protoc takes some 10 ms."""


def read_schema(paths: Sequence[Path]) -> Schema:
    """Read the files, each a `.proto` source or a FileDescriptorSet; PellucidError where one is neither."""
    schema = Schema()
    for path in paths:
        try:
            schema.add(_descriptors(path).file)
        except SchemaError as error:
            raise PellucidError(f"{path} is not whole: {error} (make it by {_HOW})") from error
        except OSError as error:
            raise PellucidError(f"cannot read {path}: {error.strerror}") from error
    if not schema.services:
        raise PellucidError(
            f"no service is defined in {', '.join(map(str, paths))}: messages are known by the methods that use them"
        )
    return schema


def _descriptors(path: Path) -> FileDescriptorSet:
    data = path.read_bytes()
    if path.suffix == ".proto":
        data = _compiled(path)
    try:
        return FileDescriptorSet.FromString(data)
    except DecodeError as error:
        raise PellucidError(
            f"{path} is neither a .proto file nor a descriptor set (made by {_HOW})"
        ) from error


def _compiled(path: Path) -> bytes:
    """Compile a source; what it imports is looked for in its folder and all above it, as no other root is known."""
    path = path.resolve()
    compiler = _compiler(path)
    roots = [f"--proto_path={root}" for root in path.parents]
    with TemporaryDirectory() as folder:
        known, made = Path(folder, "known"), Path(folder, "made")
        known.write_bytes(FileDescriptorSet(file=WELL_KNOWN).SerializeToString())  # a protoc may come without
        files = [
            f"--descriptor_set_in={known}",
            f"--descriptor_set_out={made}",
            "--include_imports",
            str(path),
        ]
        _run([*compiler, *roots, *files], path)
        return made.read_bytes()


def _run(command: list[str], path: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PellucidError(f"cannot compile {path}: {error}") from error
    if done.returncode != 0:
        errors = (line for line in done.stderr.splitlines() if "warning" not in line.lower())
        problem = next(errors, f"protoc failed with status {done.returncode}")
        raise PellucidError(f"cannot compile {path}: {problem} (or give a descriptor set, made by {_HOW})")


def _compiler(path: Path) -> list[str]:
    if protoc := shutil.which("protoc"):
        return [protoc]
    if importlib.util.find_spec("grpc_tools"):
        return [
            sys.executable,
            "-P",
            "-m",
            "grpc_tools.protoc",
        ]  # -P: root runs nothing from the working directory
    raise PellucidError(
        f"{path} needs protoc, which is not here: install it (protobuf-compiler, or grpcio-tools from PyPI), "
        f"or give a descriptor set, made elsewhere by {_HOW}"
    )
