"""What a protocol parser promises: THE extension point of the parse stage.

A parser is one subclass of `Protocol` in one file, named by an entry point in the group
`pellucid.parsers`. It does no I/O, and knows nothing of sockets, probes or sinks:

    first bytes of either direction --claims()--> YES: one instance for the connection
                                                  MORE: the bytes are held and asked about again
                                                  NO (from all parsers): shown as raw data

    Chunk --feed()--> messages      both directions, in the order in which they happened, and from
    Gap   --gap()---> messages      the very first byte: those that claims() has looked at come too
    Ending --close()> messages      once, at the end: whatever is still pending

A protocol that others switch to (RFC 9110 section 7.8) is asked by `takes_over()` instead: it begins with
the bytes after the switch.

It must be right when fed byte by byte, when its connection began before the capture (it is then made at
a chunk that it claims, and the other direction may begin anywhere), and when fed garbage. Its buffers
are bounded by `Limits`, and those of all connections together by the stage, which asks what each of them
`holds()`, and has bodies `shorten()`ed when it is too much. The one exception it may raise is `ProtocolError`; any
other is a bug, which costs its connection the parser and nothing more (`failures.py`).
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pellucid.model import Chunk, Connection, Direction, Gap, Message, Request, Response
    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits


class Verdict(enum.Enum):
    """What a parser thinks of the first bytes of a direction."""

    YES = enum.auto()
    NO = enum.auto()
    MORE = enum.auto()
    """They may become a yes: ask again when there are more of them."""


class Ending(enum.StrEnum):
    """Why nothing more comes, in the words of an `error`: "no response before ..."."""

    CLOSED = "the connection closed"
    CAPTURE = "the capture ended"
    LEFT = "the connection left this protocol"
    FAILED = "the parser failed (see the log)"
    MEMORY = "memory ran short (--memory)"


class Held(NamedTuple):
    """Bytes of memory that something takes."""

    bodies: int
    """What shortening bodies to nothing would give back."""
    other: int
    idle: bool = False
    """Nothing is pending: what comes next can be understood by another instance as well."""


class Upgrade(NamedTuple):
    """Both ends have agreed to speak another protocol from here on."""

    name: str
    """What the `Upgrade` field of the 101 says, in lower case (`websocket`, `h2c`), or `connect` for a tunnel."""
    client: Direction
    """In which direction the bytes of the side that asked go."""
    request: Request | None
    """Null where it was not seen."""
    response: Response


class ProtocolError(Exception):
    """The connection is not this parser's any more: it broke the protocol, or it switched to another one.

    The parser is never used again. `messages` are those that were complete, `rest` is every byte that is
    in no message, both directions, in order. These and all later ones go to the parser that takes over after an
    `upgrade`, and are shown as raw data where none does.
    """

    def __init__(
        self,
        reason: str,
        messages: Sequence[Message] = (),
        rest: Sequence[Chunk] = (),
        upgrade: Upgrade | None = None,
    ) -> None:
        super().__init__(reason)
        self.messages = messages
        self.rest = rest
        self.upgrade = upgrade


class Protocol(ABC):
    """One connection as one protocol understands it."""

    @classmethod
    @abstractmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:
        """Judge the first bytes of either direction, at least one and never more than `Limits.max_sniff`.

        What is known of the connection may help: ALPN (`session.alpn`), or that its beginning was not seen
        (`mid`). A NO must be final: a connection that every parser refuses is never offered again.
        """

    @classmethod
    def takes_over(
        cls,
        connection: Connection,  # noqa: ARG003  # for those that override it, as the following
        limits: Limits,  # noqa: ARG003
        budget: Budget,  # noqa: ARG003
        upgrade: Upgrade,  # noqa: ARG003
    ) -> Protocol | None:
        """Make a parser for what follows an upgrade to this protocol; None for any other upgrade."""
        return None

    @abstractmethod
    def __init__(
        self, connection: Connection, limits: Limits, budget: Budget, direction: Direction, head: bytes
    ) -> None:
        """Begin a connection: `head`, the first bytes of `direction`, is what was claimed, not yet fed.

        The bytes of each chunk are charged to `budget` already; what is made of them and takes more must be
        charged too.

        Sets `connection.role` where the protocol tells it; every later message of the connection shows it.
        """

    @abstractmethod
    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return what they complete.

        Raises `ProtocolError` when the connection is something else from here on.
        """

    @abstractmethod
    def gap(self, gap: Gap) -> Sequence[Message]:
        """Learn that bytes are missing here; return what that ends. May raise `ProtocolError`."""

    @abstractmethod
    def close(self, time: int, ending: Ending) -> Sequence[Message]:
        """Return everything that is pending, bytes that are in no message as raw data. Never raises.

        `time` is in nanoseconds since 1970, UTC.
        """

    @abstractmethod
    def holds(self) -> Held:
        """Bytes of memory that the connection takes, about; objects count too. Called rarely."""

    @abstractmethod
    def shorten(self, most: int) -> None:
        """Keep of bodies that have not ended, or wait to be shown, the first `most` bytes in all.

        Their messages must still tell the size and SHA-256 of all bytes, and that they are cut.
        """
