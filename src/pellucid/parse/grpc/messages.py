"""gRPC: the messages of one direction of a call, shown as they arrive (grpc's doc/PROTOCOL-HTTP2.md, PROTOCOL-WEB.md).

body = { flags:1 length:4 message:length }      flags: 0x01 compressed by grpc-encoding
                                                       0x80 trailers, in gRPC-Web only
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType

from pellucid.model import Direction, Grpc
from pellucid.parse.bodies.carried import Carried, Live
from pellucid.parse.bodies.codings import decode
from pellucid.parse.grpc.protobuf import read_fields
from pellucid.parse.protocol import Ending
from pellucid.parse.raw import DIRECTIONS, who
from pellucid.parse.text import field_text, readable
from pellucid.parse.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Headers
    from pellucid.parse.grpc.schema import MessageType
    from pellucid.parse.limits import Limits

_PREFIX = 5
"""Bytes before each message."""

_COMPRESSED = 0x01
_TRAILERS = 0x80

_COST = 1024
"""Bytes of memory of a body's objects while no message is arriving (`sys.getsizeof` of each: 0.9 KiB)."""

_UNREADABLE = "cannot be read as protobuf, or holds too many values to show"
_NO_FRAMING = "where the next message begins is not known, so the rest is in the body of the call only"


class _Arriving:
    """A message whose prefix is complete."""

    __slots__ = ("began", "came", "flags", "kept", "lost", "most", "short", "shortened", "size")

    def __init__(self, prefix: bytes, began: int, most: int) -> None:
        self.flags = prefix[0]
        self.size = int.from_bytes(prefix[1:])
        self.began = began
        self.most = most
        self.kept = bytearray()
        """Its first bytes, up to `most` or to the first that is missing."""
        self.came = 0
        """Bytes of it that are no more to come, those that are lost included."""
        self.lost = 0
        self.short = False
        """Memory has run short: `most` is less than it was."""
        self.shortened = False
        """Less is kept for that reason."""

    @property
    def left(self) -> int:
        """Bytes of it that are to come."""
        return self.size - self.came

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if not self.lost:
            room = self.most - len(self.kept)
            self.kept += data[:room]
            self.shortened = self.shortened or (self.short and len(data) > room)
        self.came += len(data)

    def lose(self, size: int) -> None:
        """Learn that the next bytes are missing."""
        self.came += size
        self.lost += size

    def shorten(self, most: int) -> None:
        """Keep no more than the first `most` bytes."""
        if most < self.most:
            self.most = most
            self.short = True
        if most < len(self.kept):
            self.kept = self.kept[:most]  # a bytearray that is cut in place keeps its memory
            self.shortened = True

    def problems(self) -> list[str]:
        """What became of its bytes, in words."""
        return [
            *([f"{self.lost} of its bytes are missing"] if self.lost else []),
            *([f"cut: {Ending.MEMORY}"] if self.shortened else []),
        ]


class _Plain(NamedTuple):
    """A message without its compression."""

    data: bytes
    cut: bool
    """There is more than `data`."""
    compression: str | UnsetType = UNSET
    problem: str | None = None
    """Why the compression is still there."""


class _Read(NamedTuple):
    """What the bytes of a message say."""

    message: Any = None
    schema: str | UnsetType = UNSET
    problem: str | None = None


class GrpcBody(Live):
    """Splits a body into messages; each is read by name where `--proto` knows the method, else by number."""

    _flags: tuple[int, ...] = (0, _COMPRESSED)

    def __init__(self, carried: Carried, limits: Limits) -> None:
        self._carried = carried
        self._limits = limits
        fields = {name.lower(): value for name, value in carried.headers}
        self._coding = fields.get("grpc-encoding", "").strip()
        self._is_protobuf = _codec(fields.get("content-type", "")) in {"", "proto"}
        self._type = _message_type(carried, limits)
        self._prefix = b""
        """Less than a whole one."""
        self._began = 0
        """When the first byte of the prefix came."""
        self._arriving: _Arriving | None = None
        self._split = True
        """It is known where messages begin."""
        self._number = 0

    def feed(self, data: bytes, time: int) -> Sequence[Grpc]:
        """Take the next bytes; return the messages that they complete."""
        messages: list[Grpc] = []
        at = 0
        while self._split and at < len(data):
            if self._arriving is None:
                at = self._take_prefix(data, at, time)
            else:
                piece = data[at : at + self._arriving.left]
                self._arriving.add(piece)
                at += len(piece)
            messages += self._completed(time)
        return messages

    def lose(self, size: int, time: int) -> Sequence[Grpc]:
        """Go on after the message where the hole lies in one, else stop: nothing else tells where the next begins."""
        if not self._split:
            return []
        if self._arriving is None or size > self._arriving.left:
            return self._give_up(time, f"{size} bytes are missing; {_NO_FRAMING}")
        self._arriving.lose(size)
        return self._completed(time)

    def end(self, time: int, ending: str | None) -> Sequence[Grpc]:
        """Show a message that is not complete as far as it came."""
        if not self._prefix and not self._arriving:
            return []
        return self._give_up(time, f"not complete before {ending or 'the body ended'}")

    @property
    def cost(self) -> int:
        """Bytes of memory that it takes."""
        return _COST + self.kept

    @property
    def kept(self) -> int:
        """Of these, bytes of the message that arrives."""
        return self._arriving.kept.__sizeof__() if self._arriving else 0

    def shorten(self, most: int) -> None:
        """Keep no more than its first `most` bytes."""
        if self._arriving:
            self._arriving.shorten(most)

    # --- framing -------------------------------------------------------------------------------------

    def _take_prefix(self, data: bytes, at: int, time: int) -> int:
        """Take what there is of it; return where what follows it begins."""
        if not self._prefix:
            self._began = time
        piece = data[at : at + _PREFIX - len(self._prefix)]
        self._prefix += piece
        if len(self._prefix) == _PREFIX and self._prefix[0] in self._flags:
            self._arriving = _Arriving(self._prefix, self._began, self._limits.max_body)
            self._prefix = b""
        return at + len(piece)

    def _completed(self, time: int) -> list[Grpc]:
        """Return the message that is complete now, if any."""
        if len(self._prefix) == _PREFIX:  # it was not taken
            return self._give_up(time, f"{self._prefix[0]:#04x} is no flag of a message; {_NO_FRAMING}")
        if self._arriving is None or self._arriving.left:
            return []
        arriving, self._arriving = self._arriving, None
        return [self._shown(arriving)]

    def _give_up(self, time: int, problem: str) -> list[Grpc]:
        """Show what there is of a message, and nothing after it."""
        began = self._began if self._prefix else time
        arriving = self._arriving or _Arriving(bytes(_PREFIX), began, self._limits.max_body)
        arriving.add(self._prefix)
        self._split = False
        self._prefix = b""
        self._arriving = None
        return [self._shown(arriving, problem)]

    # --- what is shown -------------------------------------------------------------------------------

    def _shown(self, arriving: _Arriving, problem: str | None = None) -> Grpc:
        """`problem` is what its framing suffers from."""
        plain = self._plain(arriving)
        is_trailers = bool(arriving.flags & _TRAILERS)
        readable_as_message = self._is_protobuf and not (is_trailers or plain.problem or problem)
        read = self._read(plain) if readable_as_message else _Read()
        problems = [each for each in (problem, *arriving.problems(), plain.problem, read.problem) if each]
        text, encoding = ("", UNSET) if is_trailers else readable(plain.data, cut=plain.cut)
        number = self._number
        self._number += 1
        carried = self._carried
        return Grpc(
            ts=rfc3339(arriving.began),
            **who(carried.connection),
            stream=carried.stream,
            url=carried.url,
            direction=DIRECTIONS[carried.direction],
            number=number,
            message=read.message,
            schema=read.schema,
            data=text,
            encoding=encoding,
            compression=plain.compression,
            trailers=_trailers(plain.data) if is_trailers else UNSET,
            size=arriving.size,
            truncated=plain.cut,
            error="; ".join(problems) or None,
        )

    def _plain(self, arriving: _Arriving) -> _Plain:
        """Undo the compression as far as the bytes go."""
        kept = bytes(arriving.kept)
        cut = len(kept) < arriving.size
        if not arriving.flags & _COMPRESSED or not kept:
            return _Plain(kept, cut)
        if not self._coding:
            return _Plain(kept, cut, problem="compressed, and no grpc-encoding says how")
        decoded = decode(kept, self._coding, self._limits.max_decoded)
        if decoded is None:
            return _Plain(kept, cut, self._coding, f"the compression ({self._coding}) cannot be undone")
        data, longer = decoded
        most = self._limits.max_body
        return _Plain(data[:most], cut or longer or len(data) > most, self._coding)

    def _read(self, plain: _Plain) -> _Read:
        """Read a message by name, or by number where it is cut, not known, or not what it should be."""
        misfit = None
        if self._type and not plain.cut:
            named, misfit = self._type.read(plain.data)
            if named is not None:
                return _Read(named, self._type.name, misfit)
        message = read_fields(plain.data, cut=plain.cut)
        return _Read(message, problem=misfit or (_UNREADABLE if message is None else None))


class GrpcWebBody(GrpcBody):
    """gRPC-Web: trailers are a last frame of the body."""

    _flags = (0, _COMPRESSED, _TRAILERS, _TRAILERS | _COMPRESSED)


class GrpcWebTextBody(GrpcWebBody):
    """The same in base64, which may be padded wherever the server has flushed."""

    def __init__(self, carried: Carried, limits: Limits) -> None:
        super().__init__(carried, limits)
        self._text = b""
        """Less than the four characters that make bytes."""

    def feed(self, data: bytes, time: int) -> Sequence[Grpc]:
        """Take the next characters; return the messages that they complete."""
        if not self._split:
            return []
        text = self._text + data
        whole = len(text) & ~3
        self._text = text[whole:]
        try:
            parts = [binascii.a2b_base64(part, strict_mode=True) for part in _PADDED.findall(text[:whole])]
        except binascii.Error:
            return self._give_up(time, f"the body is not base64; {_NO_FRAMING}")
        return super().feed(b"".join(parts), time)

    def lose(self, size: int, time: int) -> Sequence[Grpc]:
        """Stop: how many bytes the missing characters stand for depends on the padding among them."""
        return self._give_up(time, f"{size} characters are missing; {_NO_FRAMING}") if self._split else []


_PADDED = re.compile(rb"[^=]+=*|=+")
"""Base64 up to the end of its padding; padding alone is refused by the decoder."""


def _codec(content_type: str) -> str:
    """What messages are encoded in: `proto` of `application/grpc+proto; charset=utf-8`, empty where it does not say."""
    return content_type.partition(";")[0].partition("+")[2].strip().lower()


def _message_type(carried: Carried, limits: Limits) -> MessageType | None:
    """What `--proto` says that the messages are; None where it does not know the method."""
    role = carried.connection.role
    if limits.schema is None or carried.url is None or role is None:
        return None
    method = limits.schema.method(carried.url)
    if method is None:
        return None
    asks = (role == "client") is (carried.direction is Direction.WRITE)
    return method.request if asks else method.response


def _trailers(data: bytes) -> Headers:
    """Read trailers as gRPC-Web sends them: HTTP/1 field lines."""
    lines = (field_text(line).partition(":") for line in data.split(b"\r\n") if line)
    return [(name.strip(), value.strip()) for name, _, value in lines]
