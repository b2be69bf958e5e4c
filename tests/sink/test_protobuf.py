"""`protobuf`: what the protobuf library reads back, by a descriptor written from the viewers' own definition."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.decoder import _DecodeVarint32
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.sink.messages import (
    TS,
    WHO,
    answer,
    command,
    connection,
    http,
    lost,
    messages,
    raw,
    shown_bytes,
    summary,
)

from pellucid.model import Grpc, Http, OnConnection, RawData, Request, WebSocket
from pellucid.sink import Output, SinkOptions
from pellucid.sink.logentry import Event, Heartbeat, event, heartbeat, run_log, varint
from pellucid.sink.protobuf import ProtobufSink, entries

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 1795316262
"""TS, as `date --date=2026-11-22T02:57:42Z +%s` says it."""

DEFINITION = """
Event: timestamp int64, uuid string, src_ip string, src_port uint32, dst_ip string, dst_port uint32, pid int64,
    pname string, type uint32, length uint32, payload bytes
Heartbeat: timestamp int64, count int64, message string
LogEntry: log_type LogType, event_payload Event, heartbeat_payload Heartbeat, run_log string
"""


def log_entry() -> type:
    """The library's class for `event.LogEntry`."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="ecaptureq.proto", package="event", syntax="proto3")
    file.enum_type.add(name="LogType")
    for number, name in enumerate(("HEARTBEAT", "PROCESS_LOG", "EVENT")):
        file.enum_type[0].value.add(name=f"LOG_TYPE_{name}", number=number)
    for text in DEFINITION.replace(",\n    ", ", ").strip().splitlines():
        name, fields = text.split(": ")
        message = file.message_type.add(name=name)
        for number, words in enumerate(fields.split(", "), 1):
            label, kind = words.split()
            one = message.field.add(name=label, number=number, label=field.LABEL_OPTIONAL)
            if kind[0].islower():
                one.type = getattr(field, f"TYPE_{kind.upper()}")
            else:
                one.type = field.TYPE_ENUM if kind == "LogType" else field.TYPE_MESSAGE
                one.type_name = f".event.{kind}"
            if name == "LogEntry" and number > 1:
                one.oneof_index = 0
    file.message_type[2].oneof_decl.add(name="payload")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("event.LogEntry"))


LogEntry = log_entry()


def events(message) -> list:
    """The events of a message, as the library reads them."""
    read = [LogEntry.FromString(entry) for entry in entries(message)]
    assert {entry.log_type for entry in read} <= {2}
    return [entry.event_payload for entry in read]


def test_an_exchange() -> None:
    """It is two events, each from whoever sent it, with every field filled and HTTP text as payload."""
    request, response = events(http())
    assert request.payload == b"GET /a HTTP/1.1\r\nHost: e.com\r\n\r\n"
    assert response.payload == b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"
    client, server = ("10.0.0.2", 51234), ("93.184.216.34", 443)
    for one, kind, src, dst in ((request, 1, client, server), (response, 3, server, client)):
        assert (one.type, one.length) == (kind, len(one.payload))
        assert ((one.src_ip, one.src_port), (one.dst_ip, one.dst_port)) == (src, dst)
        assert (one.timestamp, one.pid, one.pname) == (SECONDS, 4711, "curl")
    assert request.uuid == response.uuid != ""


def test_http2() -> None:
    """Its types are 2 and 4, gRPC's too; the authority is the Host; a body that is no text is as it was."""
    asked = Request(method="POST", url="/a", authority="e.com", headers=[("te", "trailers")], body=b"\0\xff")
    for protocol in ("HTTP/2", "gRPC"):
        message = http(
            protocol=protocol, request=asked, response=answer("x", trailers=[("grpc-status", "0")])
        )
        request, response = events(message)
        assert (request.type, response.type) == (2, 4)
        assert request.payload == b"POST /a HTTP/2\r\nHost: e.com\r\nte: trailers\r\n\r\n\0\xff"
        assert response.payload.endswith(b"\r\n\r\nx\r\ngrpc-status: 0\r\n\r\n")


def test_half_an_exchange() -> None:
    """What was not seen is no event."""
    assert [one.type for one in events(http(request=None))] == [3]
    assert [one.type for one in events(http(response=None))] == [1]


@pytest.mark.parametrize(
    ("direction", "role", "sender"),
    [
        ("write", "client", "10.0.0.2"), ("read", "client", "93.184.216.34"),
        ("write", "server", "93.184.216.34"), ("read", "server", "10.0.0.2"),
        ("write", None, "10.0.0.2"), ("read", None, "93.184.216.34"),
    ],
)  # fmt: skip
def test_raw_bytes(direction: str, role: str | None, sender: str) -> None:
    """They are type 0, as they are, from the end that sent them."""
    (one,) = events(raw(b"\0\1\xff", direction=direction, role=role))
    assert (one.type, one.payload, one.src_ip) == (0, b"\0\1\xff", sender)


def test_addresses() -> None:
    """IPv6 has no brackets, and what is not known is empty."""
    (one,) = events(raw("x", src="[::1]:443", dst=None))
    assert (one.src_ip, one.src_port, one.dst_ip, one.dst_port) == ("::1", 443, "", 0)


def test_commands_of_shells() -> None:
    """A command of a shell is an event of its process, between no addresses, with the whole message."""
    (entry,) = map(LogEntry.FromString, entries(command()))
    told = entry.event_payload
    assert (entry.log_type, told.timestamp, told.pid, told.pname) == (2, SECONDS, 42, "bash")
    assert (told.src_ip, told.src_port, told.dst_ip, told.dst_port, told.type) == ("", 0, "", 0, 0)
    assert (told.uuid, told.length) == ("42_42_bash_0", len(told.payload))
    assert json.loads(told.payload)["line"] == command().line


def test_other_messages() -> None:
    """What belongs to a connection is an event with the JSON of it, the rest lines of the log."""
    inside = {**WHO, "url": "/chat", "direction": "read"}
    for message in (connection(), WebSocket(**inside, opcode="text", data="x"), Grpc(**inside, number=0)):
        (one,) = events(message)
        assert (one.type, json.loads(one.payload)["conn"]) == (0, 7)
    for message in (lost(), summary()):
        (entry,) = map(LogEntry.FromString, entries(message))
        assert (entry.log_type, entry.WhichOneof("payload")) == (1, "run_log")
        assert json.loads(entry.run_log)["ts"] == TS


@given(messages)
def test_any_message(message) -> None:
    """Every message can be read back, unknown fields and all; no body is lost."""
    if isinstance(message, OnConnection):
        message = replace(message, src="10.0.0.1:1", dst=None)
    read = [LogEntry.FromString(entry) for entry in entries(message)]
    assert all(not UnknownFieldSet(entry) for entry in read)
    if isinstance(message, RawData):
        assert read[0].event_payload.payload == shown_bytes(message.data)
    if isinstance(message, Http):
        halves = [half for half in (message.request, message.response) if half is not None]
        assert len(read) == len(halves)
        for half, entry in zip(halves, read, strict=True):
            assert shown_bytes(half.body) in entry.event_payload.payload


@given(st.integers(0, 2**63 - 1))
def test_numbers(number: int) -> None:
    """They come back as they were, and a heartbeat is what has no type."""
    entry = LogEntry.FromString(heartbeat(Heartbeat(number, 7, "beat")))
    assert (entry.log_type, entry.heartbeat_payload.timestamp, entry.heartbeat_payload.count) == (
        0,
        number,
        7,
    )
    assert _DecodeVarint32(varint(number % 2**32), 0) == (number % 2**32, len(varint(number % 2**32)))


def test_a_stream_of_entries(tmp_path: Path) -> None:
    """In a file each comes behind its length, one after the other."""
    path = tmp_path / "events"
    sink = ProtobufSink(Output(os.open(path, os.O_WRONLY | os.O_CREAT), "x"), SinkOptions())
    sink.write(http())
    sink.write(summary())
    sink.close()
    data, at, read = path.read_bytes(), 0, []
    while at < len(data):
        size, at = _DecodeVarint32(data, at)
        read.append(LogEntry.FromString(data[at : at + size]))
        at += size
    assert [entry.log_type for entry in read] == [2, 2, 1]


def test_a_line_of_the_log() -> None:
    """It is text."""
    assert LogEntry.FromString(run_log("ready: \u00fc")).run_log == "ready: \u00fc"
    assert (
        LogEntry.FromString(event(Event(1, "", "", 0, "", 0, 0, "\udcff", 0, 0, b""))).event_payload.pname
        == "?"
    )
