"""`LogEntry` of eCapture's viewers (package `event`) on the wire: protobuf's encoding, written out by hand.

    enum LogType { LOG_TYPE_HEARTBEAT = 0; LOG_TYPE_PROCESS_LOG = 1; LOG_TYPE_EVENT = 2; }
    Event     { int64 timestamp = 1; string uuid = 2; string src_ip = 3; uint32 src_port = 4; string dst_ip = 5;
                uint32 dst_port = 6; int64 pid = 7; string pname = 8; uint32 type = 9; uint32 length = 10;
                bytes payload = 11; }
    Heartbeat { int64 timestamp = 1; int64 count = 2; string message = 3; }
    LogEntry  { LogType log_type = 1;
                oneof payload { Event event_payload = 2; Heartbeat heartbeat_payload = 3; string run_log = 4; } }

The format is https://protobuf.dev/programming-guides/encoding/. Fields that are zero or empty are left out, as proto3 does.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

_VARINT, _LENGTH = 0, 2
_64_BITS = (1 << 64) - 1


class LogType(enum.IntEnum):
    """Which of its payloads an entry has."""

    HEARTBEAT = 0
    PROCESS_LOG = 1
    EVENT = 2


class EventType(enum.IntEnum):
    """What an event's payload is."""

    RAW = 0
    HTTP1_REQUEST = 1
    HTTP2_REQUEST = 2
    HTTP1_RESPONSE = 3
    HTTP2_RESPONSE = 4


class Event(NamedTuple):
    """Its fields, in the order of their numbers."""

    timestamp: int
    """Seconds since 1970, as in a heartbeat."""
    uuid: str
    """What belongs to one connection has the same."""
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    pid: int
    pname: str
    type: int
    length: int
    """Bytes of the payload."""
    payload: bytes


class Heartbeat(NamedTuple):
    """A sign of life; `beats` counts them."""

    timestamp: int
    """Seconds since 1970."""
    beats: int
    message: str


def event(fields: Event) -> bytes:
    """An entry with an event."""
    return _number(1, LogType.EVENT) + _bytes(2, _message(fields))


def heartbeat(fields: Heartbeat) -> bytes:
    """An entry with a heartbeat: its type is the one that proto3 leaves out."""
    return _bytes(3, _message(fields))


def run_log(text: str) -> bytes:
    """An entry with a line of the log."""
    return _number(1, LogType.PROCESS_LOG) + _field(4, text)


def delimited(entry: bytes) -> bytes:
    """The entry behind its length, for a stream of them."""
    return varint(len(entry)) + entry


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; `number` is not negative."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _message(fields: tuple[int | str | bytes, ...]) -> bytes:
    return b"".join([_field(number, value) for number, value in enumerate(fields, 1)])


def _field(number: int, value: int | str | bytes) -> bytes:
    if not value:
        return b""
    if isinstance(value, int):
        return _number(number, value)
    # What is no Unicode (undecodable bytes of a process name, say) could not be read back.
    return _bytes(number, value.encode("utf-8", "replace") if isinstance(value, str) else value)


def _number(number: int, value: int) -> bytes:
    return varint(number << 3 | _VARINT) + varint(
        value & _64_BITS
    )  # a negative int64 is its two's complement


def _bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | _LENGTH) + varint(len(value)) + value
