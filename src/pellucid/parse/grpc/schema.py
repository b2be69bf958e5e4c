"""Protobuf read by a schema: what `--proto` says of the methods of gRPC services, and of their messages.

This is imported only where a schema is given, for protobuf's runtime takes 7 MiB and 70 ms of the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_database import (
    DescriptorDatabase,
    DescriptorDatabaseConflictingDefinitionError,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from pellucid.parse.grpc.protobuf import MAX_DEPTH, MAX_VALUES, Fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import Descriptor, ServiceDescriptor
    from google.protobuf.descriptor_pb2 import FileDescriptorProto


def _descriptor(module: Any) -> FileDescriptorProto:
    descriptor = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(descriptor)
    return descriptor


WELL_KNOWN = tuple(
    _descriptor(module)
    for module in (
        any_pb2, api_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, source_context_pb2, struct_pb2,
        timestamp_pb2, type_pb2, wrappers_pb2,
    )
)  # fmt: skip
"""The files that protobuf itself brings, and that many others import."""


class SchemaError(Exception):
    """The descriptors do not make a schema: they contradict each other, or lack what they refer to."""


_NO_JSON = (TypeError, ValueError, json_format.Error)
"""What protobuf raises for values that JSON cannot have: an Any of a type that the schema lacks, a time beyond the year
9999, text of proto2 that is not UTF-8."""


_TOO_MANY = "has more values than are shown by name"
_TOO_DEEP = f"is deeper than the {MAX_DEPTH} levels that are shown by name"


class MessageType:
    """One type of message."""

    def __init__(self, descriptor: Descriptor, pool: DescriptorPool) -> None:
        self.name: str = descriptor.full_name
        self._class = GetMessageClass(descriptor)
        self._pool = pool

    def read(self, data: bytes) -> tuple[Fields | None, str | None]:
        """Return the message in the JSON mapping (protobuf.dev/programming-guides/json), by field names as the schema has
        them, and what the schema does not tell of it.

        There is no message where the bytes are none of this type, or it is larger or deeper than what is shown.
        """
        message = self._class()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return None, f"does not fit {self.name}"
        try:
            if _values(message) > MAX_VALUES:
                return None, _TOO_MANY
            named: Fields = json_format.MessageToDict(
                message, preserving_proto_field_name=True, descriptor_pool=self._pool
            )
        except _NO_JSON as error:
            return None, f"has no JSON form as {self.name}: {error}"
        except RecursionError:  # each Any is parsed anew, so protobuf's own bound on depth does not hold
            return None, _TOO_DEEP
        problem = _too_large(named)
        return (None, problem) if problem else (named, self._unknown(message))

    def _unknown(self, message: Message) -> str | None:
        """JSON has no place for fields that a schema lacks, so these must at least be told of."""
        size = len(message.SerializePartialToString())
        message.DiscardUnknownFields()
        if len(message.SerializePartialToString()) == size:
            return None
        return f"has fields that the schema of {self.name} lacks"


class Method(NamedTuple):
    """One method of a service."""

    request: MessageType
    response: MessageType


class Schema:
    """The services of some descriptor sets. Each set is its own world: the same file may be in several."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str], Method] = {}

    def add(self, files: Sequence[FileDescriptorProto]) -> None:
        """Take the files of one set, which must hold what they import; protobuf's own may be missing.

        Raises SchemaError where they are none.
        """
        database = DescriptorDatabase()
        pool = DescriptorPool(database)
        names = {file.name for file in files}
        try:
            for file in (*files, *(known for known in WELL_KNOWN if known.name not in names)):
                database.Add(file)
            for name in names:
                for service in pool.FindFileByName(name).services_by_name.values():
                    self._add_service(service, pool)
        except (TypeError, KeyError, DescriptorDatabaseConflictingDefinitionError) as error:
            raise SchemaError(f"{error.args[0]}") from error

    def method(self, path: str) -> Method | None:
        """Find a method by the path of a call, `/package.Service/Method`, whatever a proxy has set before it."""
        parts = path.partition("?")[0].rsplit("/", 2)
        return self._methods.get((parts[-2], parts[-1])) if len(parts) > 1 else None

    @property
    def services(self) -> set[str]:
        """Their full names."""
        return {service for service, _ in self._methods}

    def _add_service(self, service: ServiceDescriptor, pool: DescriptorPool) -> None:
        for method in service.methods:
            request, response = (MessageType(each, pool) for each in (method.input_type, method.output_type))
            self._methods[service.full_name, method.name] = Method(request, response)


def _values(message: Message) -> int:
    """How many values the JSON form has."""
    number = 0
    for field, value in message.ListFields():
        if not field.is_repeated:
            number += 1 + (_values(value) if field.message_type else 0)
        else:
            number += len(value)
            if field.message_type:
                number += sum(_values(each) for each in _messages_in(value))
    return number


def _messages_in(repeated: Any) -> Iterable[Message]:
    """The messages of a list, or of a map's values."""
    values = repeated.values() if hasattr(repeated, "values") else repeated
    return (each for each in values if isinstance(each, Message))


def _too_large(named: Fields) -> str | None:
    """Judge what was made: the messages in an Any are bytes before that."""
    left = MAX_VALUES
    level: list[Any] = [named]
    for _ in range(MAX_DEPTH + 1):
        level = [value for each in level for value in _within(each)]
        left -= len(level)
        if left < 0:
            return _TOO_MANY
        if not level:
            return None
    return _TOO_DEEP


def _within(value: Any) -> Iterable[Any]:
    """The values of an object or a list of JSON."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
