"""The bytes that messages show: of bodies, and of raw connections put together again."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, NamedTuple


class Stream(NamedTuple):
    """One connection as one program saw it."""

    pid: int
    local: str | None
    remote: str | None
    read: bytes
    written: bytes


def shown(holder: dict[str, Any], field: str) -> bytes:
    """The bytes that a message or a half of an exchange shows in `field`."""
    text = holder[field]
    return base64.b64decode(text) if holder.get("encoding") == "base64" else text.encode()


def body_hash(half: dict[str, Any]) -> str:
    """The SHA-256 of a request's or response's body: as it says, or of what it shows when that is all."""
    return str(half.get("sha256") or hashlib.sha256(shown(half, "body")).hexdigest())


def streams(messages: list[dict[str, Any]]) -> list[Stream]:
    """The connections, in the order of their first bytes; fails where offsets do not follow each other."""
    found: dict[int, dict[str, bytes]] = {}
    first: dict[int, dict[str, Any]] = {}
    for message in messages:
        if message["type"] != "data":
            continue
        first.setdefault(message["conn"], message)
        sides = found.setdefault(message["conn"], {"read": b"", "write": b""})
        assert message["offset"] == len(sides[message["direction"]]), message
        sides[message["direction"]] += shown(message, "data")
    return [
        Stream(first[conn]["pid"], *own_ends(first[conn]), sides["read"], sides["write"])
        for conn, sides in found.items()
    ]


def own_ends(message: dict[str, Any]) -> tuple[str | None, str | None]:
    """The program's own address and its peer's: `src` is the client's where the role is known, else its own."""
    ends = message["src"], message["dst"]
    return (ends[1], ends[0]) if message["role"] == "server" else ends
