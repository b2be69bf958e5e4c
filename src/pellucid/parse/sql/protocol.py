"""What the parsers of MySQL and PostgreSQL do alike: both directions cut into messages, and lost track of.

    SYNCED --bytes that cannot be, a gap that hides where a message begins--> SEEKING
       ^                                                                        |
       +---------- a chunk of the client that begins with a command ------------+

While it seeks, it shows what it meets as raw data. What waits for an answer then is shown without one, and what the
session was told before (statements, the database) is forgotten: some of it may have changed in what was not seen.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pellucid.model import Chunk, Direction
from pellucid.parse.budget import CHUNK_COST, PARSER_COST
from pellucid.parse.protocol import Ending, Held, Protocol, Verdict
from pellucid.parse.raw import raw_all
from pellucid.parse.sql.command import COMMAND_COST, Command
from pellucid.parse.sql.frames import BrokenError, Framer

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from pellucid.model import Connection, Gap, Message
    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits
    from pellucid.parse.sql.frames import Frame, Header

HEADROOM = 64 * 1024
"""Bytes kept of a client's message beyond `max_body`: names, types and NULL bitmaps before text and values."""

IDLE_SIZE = 8
"""Bytes at the end of what the server sends in which `SqlProtocol.idle` is looked for."""

KEEP_ANSWER = 16 * 1024
"""Bytes kept of a server's message: an error's text, a session's changes. Rows are counted, not read."""


class Beginning(NamedTuple):
    """What a parser begins with."""

    from_client: bool
    known: bool
    """It is the very first message; else a command of which it is not known what came before."""


def _other(direction: Direction) -> Direction:
    return Direction.READ if direction is Direction.WRITE else Direction.WRITE


def best(verdicts: Iterable[Verdict]) -> Verdict:
    """Return what several judges say together."""
    said = {*verdicts}
    return next((each for each in (Verdict.YES, Verdict.MORE) if each in said), Verdict.NO)


class SqlProtocol(Protocol):
    """A connection to a database."""

    server: ClassVar[str]
    """As `model.Query.server`."""
    idle: ClassVar[re.Pattern[bytes] | None] = None
    """How the server's bytes end when it has answered everything; None where they do not tell."""

    def __init__(
        self, connection: Connection, limits: Limits, budget: Budget, direction: Direction, head: bytes
    ) -> None:
        beginning = self._begins_with(head)
        client = direction if beginning.from_client else _other(direction)
        connection.role = connection.role or ("client" if client is Direction.WRITE else "server")
        budget.charge(PARSER_COST)
        self._connection = connection
        self._limits = limits
        self._budget = budget
        self._keep = limits.max_body + HEADROOM
        self._client = Framer(client, self._client_header)
        self._server = Framer(_other(client), self._server_header)
        login = connection.login
        self._user = login.user if login else None
        self._database = login.database if login else None
        self._secret = False
        """A password may come: bytes of the client that are in no message are not shown, but counted."""
        self._hidden = 0
        self._seeking = not beginning.known
        self._heard: bytes | None = None
        """While it seeks, the server's last bytes; None before anything was lost: then the first command is
        believed to come when all others are answered."""
        self._tried: list[Chunk] = []
        """Chunks of the client that may begin a command, while it seeks."""
        self._out: list[Message] = []

    # --- what a protocol fills in --------------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def _begins_with(head: bytes) -> Beginning:
        """Say what was claimed."""

    @staticmethod
    @abstractmethod
    def judge_command(head: bytes) -> Verdict:
        """Say whether a command begins here, by strong evidence: nothing is known of what comes before."""

    @staticmethod
    @abstractmethod
    def judge_password(head: bytes) -> Verdict:
        """Say whether a client proves here who it is: its login is older than the capture, or was lost."""

    @abstractmethod
    def _client_header(self, data: bytes | bytearray, at: int) -> Header | None:
        """Read how a message of the client begins, as `ReadHeader`."""

    @abstractmethod
    def _server_header(self, data: bytes | bytearray, at: int) -> Header | None:
        """Read how a message of the server begins."""

    @abstractmethod
    def _sent(self, frame: Frame) -> None:
        """Take a message of the client. May raise `BrokenError`."""

    @abstractmethod
    def _answered(self, frame: Frame) -> None:
        """Take a message of the server. May raise `BrokenError`."""

    @abstractmethod
    def _pending(self) -> Sequence[Command]:
        """Commands that wait to be shown, in order."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget them, and what the session was told."""

    @abstractmethod
    def _remembered(self) -> int:
        """Bytes of memory that the session takes besides them."""

    # --- both directions -----------------------------------------------------------------------------

    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return the commands that they complete."""
        for piece in self._seek(chunk) if self._seeking else (chunk,):
            self._cut(piece)
        return self._take()

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on where the hole lies within one message, else seek a new beginning."""
        if self._seeking:
            self._out += self._raw(self._give_up_trying())
            self._heard = b""
            return self._take()
        framer = self._client if gap.direction is self._client.direction else self._server
        self._each(framer.skip(gap), gap.direction, None)
        return self._take()

    def close(self, time: int, ending: Ending) -> Sequence[Message]:
        """Show everything that is pending."""
        self._end(ending, None)
        self._tell_hidden(time)
        return self._take()

    def _cut(self, chunk: Chunk) -> None:
        if self._seeking:  # since an earlier chunk that was tried
            self._out += self._raw([chunk])
            return
        framer = self._client if chunk.direction is self._client.direction else self._server
        self._each(framer.cut(chunk), chunk.direction, chunk)

    def _each(self, frames: Iterator[Frame], direction: Direction, chunk: Chunk | None) -> None:
        take = self._sent if direction is self._client.direction else self._answered
        try:
            for frame in frames:
                take(frame)
        except BrokenError as error:
            self._lose(str(error), direction, chunk)

    def _lose(self, reason: str, direction: Direction, chunk: Chunk | None) -> None:
        """Seek a new beginning: `chunk`, in this direction, is being cut."""
        self._end(reason, chunk)
        self._seeking = True
        self._heard = b""
        if chunk and direction is not self._client.direction:
            self._overheard(chunk.data)

    def _end(self, reason: str, chunk: Chunk | None) -> None:
        """Show what is pending, and bytes that are in no message; forget the session."""
        for command in self._pending():
            if command.ended is None:
                command.problems.append(f"no whole answer before {reason}")
            self._show(command)
        rest = [
            piece
            for framer in (self._client, self._server)
            for piece in framer.release(
                self._connection, chunk if chunk and chunk.direction is framer.direction else None
            )
        ]
        rest += self._give_up_trying()
        self._out += self._raw(sorted(rest, key=lambda piece: piece.time))
        self._forget()

    def _raw(self, chunks: Iterable[Chunk]) -> list[Message]:
        if not self._secret:
            return [*raw_all(chunks)]
        shown = []
        for chunk in chunks:
            if chunk.direction is self._client.direction:
                self._hidden += len(chunk.data)
            else:
                shown.append(chunk)
        return [*raw_all(shown)]

    def _tell_hidden(self, time: int) -> None:
        """Say how many bytes were not shown, if any."""
        if self._hidden:
            command = self._begin(Command("hidden", time))
            command.problems.append(f"{self._hidden} bytes that may hold a password are not shown")
            self._show(command)
        self._hidden = 0

    # --- seeking -------------------------------------------------------------------------------------

    def _seek(self, chunk: Chunk) -> Sequence[Chunk]:
        """Return the chunks that begin with a command; show those that do not."""
        if chunk.direction is not self._client.direction:
            self._out += self._raw([*self._give_up_trying(), chunk])
            self._overheard(chunk.data)
            return ()
        self._tried.append(chunk)
        head = b"".join(piece.data for piece in self._tried)[: self._limits.max_sniff]
        verdict = self._judge(head)
        if verdict is Verdict.MORE and len(head) < self._limits.max_sniff:
            return ()
        tried = self._give_up_trying()
        if verdict is Verdict.YES:
            self._seeking = self._secret = False
            self._tell_hidden(chunk.time)
            return tried
        if len(tried) > 1:  # the last one may begin what the earlier ones did not
            self._out += self._raw(tried[:-1])
            return self._seek(chunk)
        self._out += self._raw(tried)
        return ()

    def _judge(self, head: bytes) -> Verdict:
        """Say whether a command begins here. From a password on, nothing of the client is shown before one does."""
        password = self.judge_password(head)
        if password is Verdict.YES:
            self._secret = True
        if password is Verdict.MORE:
            return password
        return self.judge_command(head) if self._may_begin() else Verdict.NO

    def _give_up_trying(self) -> list[Chunk]:
        tried, self._tried = self._tried, []
        return tried

    def _may_begin(self) -> bool:
        """Say whether nothing that the server has still to answer can be taken for the answer to a new command."""
        return self.idle is None or self._heard is None or self.idle.search(self._heard) is not None

    def _overheard(self, data: bytes) -> None:
        """Take note of what the server sends meanwhile."""
        if self._heard is not None:
            self._heard = (self._heard + data)[-IDLE_SIZE:]

    # --- messages and memory -------------------------------------------------------------------------

    def _begin(self, command: Command) -> Command:
        """Say who sends a command, and charge for it."""
        command.user = self._user
        command.database = self._database
        self._budget.charge(COMMAND_COST)
        return command

    def _show(self, command: Command) -> None:
        self._out.append(command.message(self._connection, self.server))

    def _take(self) -> list[Message]:
        out, self._out = self._out, []
        return out

    def holds(self) -> Held:
        """Add up what is pending and what the session was told; never idle, for that would be forgotten."""
        pending = self._pending()
        tried = sum(len(chunk.data) + CHUNK_COST for chunk in self._tried)
        other = PARSER_COST + self._client.held + self._server.held + tried + self._remembered()
        return Held(
            sum(command.kept for command in pending), other + sum(command.cost for command in pending)
        )

    def shorten(self, most: int) -> None:
        """Let the oldest commands keep what they have."""
        for command in self._pending():
            command.shorten(most)
            most = max(0, most - command.kept)
