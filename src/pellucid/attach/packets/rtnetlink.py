"""Requests to the kernel's routing, and what it answers (rtnetlink(7), netlink(7))."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERROR, _DONE = 2, 3
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_ERRNO = struct.Struct("=i")  # how struct nlmsgerr begins
ROOM = 1 << 17
"""Bytes for a datagram: more than the kernel puts into one (NLMSG_GOODSIZE, and 32 KiB of dumps)."""

_MOST_TRIES = 100


class RefusedError(PellucidError):
    """The kernel does not know a request, or does not allow it."""


class _InterruptedError(Exception):
    """What was asked for changed while the kernel told of it, so something may be missing, or there twice."""


def dump(kind: int, request: bytes, protocol: int = socket.NETLINK_ROUTE) -> list[tuple[int, bytes]]:
    """Type and payload of each message with which the kernel answers a request for all of something.

    RefusedError where it does not want to, another PellucidError where it cannot.
    """
    for _ in range(_MOST_TRIES):
        try:
            return list(_dump(kind, request, protocol))
        except _InterruptedError:
            continue
    raise PellucidError(f"the answer to netlink request {kind} changes faster than it can be read")


def _dump(kind: int, request: bytes, protocol: int) -> Iterator[tuple[int, bytes]]:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
            link.bind((0, 0))
            link.send(_HEADER.pack(_HEADER.size + len(request), kind, _DUMP_REQUEST, 1, 0) + request)
            while True:
                for answer, flags, payload in messages(link.recv(ROOM)):
                    if flags & _INTERRUPTED:
                        raise _InterruptedError
                    if answer == _ERROR:
                        raise RefusedError(_failed(kind, -_ERRNO.unpack_from(payload)[0]))
                    if answer == _DONE:
                        return
                    yield answer, payload
    except OSError as error:
        raise PellucidError(_failed(kind, error.errno or 0)) from error


def _failed(kind: int, number: int) -> str:
    return f"the kernel does not answer netlink request {kind}: {os.strerror(number)}"


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and payload of each netlink message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, flags, _, _ = _HEADER.unpack_from(data, at)
        yield kind, flags, data[at + _HEADER.size : at + size]
        at += max(size + 3 & ~3, _HEADER.size)


def attributes(payload: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute from there on."""
    while at + _ATTRIBUTE.size <= len(payload):
        size, kind = _ATTRIBUTE.unpack_from(payload, at)
        yield kind, payload[at + _ATTRIBUTE.size : at + size]
        at += max(size + 3 & ~3, _ATTRIBUTE.size)
