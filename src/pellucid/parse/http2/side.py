"""What is known of one direction of an HTTP/2 connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.model import Chunk, Connection, Direction
from pellucid.parse.http2.frames import PREFACE, Frame, FrameReader
from pellucid.parse.http2.hpack import Table
from pellucid.parse.http2.seek import MOST, Seeker

if TYPE_CHECKING:
    from pellucid.parse.http2.head import Head
    from pellucid.parse.http2.hpack import Block
    from pellucid.parse.limits import Limits


class HeaderBlock:
    """The header block of a HEADERS or PUSH_PROMISE frame that CONTINUATION frames follow (RFC 9113 section 6.10)."""

    __slots__ = ("began", "bytes", "first", "held", "offset")

    def __init__(self, first: Frame, fragment: bytes, sent: bytes, offset: int, began: int) -> None:
        self.first = first
        self.held = bytearray(fragment)
        self.bytes = bytearray(sent)
        """The frames themselves."""
        self.offset = offset
        """Where they begin in the stream of their direction."""
        self.began = began


class Side:
    """One direction of the connection."""

    __slots__ = (
        "began",
        "block",
        "certain",
        "direction",
        "end",
        "head",
        "opening",
        "reader",
        "seeker",
        "table",
    )  # fmt: skip

    def __init__(self, direction: Direction, limits: Limits) -> None:
        self.direction = direction
        self.reader = FrameReader(limits.max_head)
        self.table = Table(whole=True)
        self.certain = True
        """Seen from its beginning without a hole, so that whatever is wrong is wrong itself."""
        self.opening: bytearray | None = bytearray()
        """What may become the client's preface; None when the first frame has begun."""
        self.head: tuple[Block, Head] | None = None
        """The last header section, and the block that it was made of."""
        self.seeker: Seeker | None = None
        """Where no beginning of a frame is known."""
        self.block: HeaderBlock | None = None
        self.began = 0
        """When the first byte came of the frame that is held."""
        self.end = 0
        """Offset in the stream of the byte after the last one that came."""

    def seek(self, offset: int, limits: Limits) -> None:
        """Look for the beginning of a frame from `offset` on; of the tables only what comes is known."""
        self.seeker = Seeker(offset)
        self.reader = FrameReader(min(MOST, limits.max_head))
        self.table.forget()
        self.certain = False
        self.opening = None
        self.block = None

    def open(self, data: bytes) -> bool | None:
        """Take the first bytes; say whether they are the client's preface, None while they may become it."""
        assert self.opening is not None
        head = bytes(self.opening) + data[: len(PREFACE) - len(self.opening)]
        if head == PREFACE:
            return True
        if PREFACE.startswith(head):
            self.opening += data
            return None
        return False

    def release(self, connection: Connection, time: int) -> list[Chunk]:
        """Give back the bytes that are in no frame, or in a header block that is not whole."""
        found = [(self.block.offset, self.block.bytes)] if self.block else []
        held = self.seeker.held if self.seeker else self.reader.held or self.opening
        if held:
            found.append((self.end - len(held), held))
        chunks = [Chunk(connection, self.direction, offset, time, bytes(data)) for offset, data in found]
        for _, data in found:
            data.clear()
        self.block = None
        return chunks

    @property
    def cost(self) -> int:
        """Bytes of memory of what is held."""
        held = [self.reader.held, self.opening, self.seeker and self.seeker.held]
        if self.block:
            held += [self.block.held, self.block.bytes]
        return sum(each.__sizeof__() for each in held if each) + self.table.cost
