"""The client/server protocol of MySQL 4.1 to 9 and of MariaDB.

    GREETING --the server's first packet--> LOGIN --the client's--> AUTHENTICATING --OK--> READY
                                              ^                          ^                   |
       within TLS it begins here -------------+                          +--COM_CHANGE_USER--+

In READY each packet of the client with sequence number 0 is a command, and the packets of its answer count on from it.
Answers come in order, so what waits is a queue, which has more than one place only where a client does not wait.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, NoReturn

from pellucid.parse.mysql import packets
from pellucid.parse.mysql.answer import Answer, Style
from pellucid.parse.mysql.claims import judge_command, judge_greeting, judge_login, judge_password
from pellucid.parse.mysql.commands import CHANGE_USER, LONG_DATA, Asked, made, read_command
from pellucid.parse.mysql.compressed import COMPRESSION_COST, Compression
from pellucid.parse.mysql.database import database_after
from pellucid.parse.mysql.session import Session
from pellucid.parse.mysql.values import AHEAD_COST
from pellucid.parse.protocol import ProtocolError, Verdict
from pellucid.parse.sql.command import MAX_PENDING, STATEMENT_COST, Command
from pellucid.parse.sql.frames import BrokenError
from pellucid.parse.sql.protocol import KEEP_ANSWER, Beginning, SqlProtocol, best

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pellucid.model import Chunk, Connection, Direction, Gap, Message
    from pellucid.parse.budget import Budget
    from pellucid.parse.limits import Limits
    from pellucid.parse.mysql.packets import Login
    from pellucid.parse.mysql.values import MySqlStatement
    from pellucid.parse.sql.frames import Frame, Header

_MAX_LOGIN = 0x3FFF
"""Bytes of a packet before the login, and of the login."""

_TLS_REQUEST = 32
"""Bytes of SSLRequest: a login up to where the user would be."""

_NEXT_AUTH = 0x02
"""AuthNextFactor, of logins with several proofs."""


_COMPRESSED = packets.Can.COMPRESS | packets.Can.ZSTD_COMPRESSION


class Phase(enum.Enum):
    """What comes next."""

    GREETING = enum.auto()
    LOGIN = enum.auto()
    AUTHENTICATING = enum.auto()
    READY = enum.auto()


class MySql(SqlProtocol):
    """The parser."""

    server = "mysql"

    @classmethod
    def claims(cls, head: bytes, connection: Connection) -> Verdict:  # noqa: ARG003  # the bytes tell enough
        """Say yes to a greeting, a login, a password, and a command whose content leaves no doubt."""
        return best(judge(head) for judge in (judge_greeting, judge_login, judge_command, judge_password))

    judge_command = staticmethod(judge_command)
    judge_password = staticmethod(judge_password)

    def __init__(
        self, connection: Connection, limits: Limits, budget: Budget, direction: Direction, head: bytes
    ) -> None:
        super().__init__(connection, limits, budget, direction, head)
        self._phase = Phase.READY if self._seeking else Phase.LOGIN
        self._secret = not self._seeking
        if judge_greeting(head) is Verdict.YES:
            self._phase = Phase.GREETING
        self._can = packets.Can.SECURE_CONNECTION
        """What the client has told; all clients since 4.1 can do this."""
        self._session = Session(limits)
        self._waiting: deque[Answer] = deque()
        self._login: Command | None = None
        """The login, or change of user, that is under way."""
        self._last: Answer | None = None
        """The last answer, where it was one to a preparation: an EOF may follow."""
        self._compression: Compression | None = None
        """How the compressed protocol is read, where it is spoken."""
        self._streams = False
        """A command was sent that turns the connection into a stream of something else."""
        self._sent_packets = packets.Assembly(self._keep)
        self._answered_packets = packets.Assembly(KEEP_ANSWER)

    @staticmethod
    def _begins_with(head: bytes) -> Beginning:
        greets = judge_greeting(head) is Verdict.YES
        return Beginning(from_client=not greets, known=greets or judge_login(head) is Verdict.YES)

    def _client_header(self, data: bytes | bytearray, at: int) -> Header | None:
        header = packets.read_header(data, at, self._keep)
        if header and header.size > _MAX_LOGIN and self._phase in {Phase.GREETING, Phase.LOGIN}:
            raise BrokenError("no login")
        return header

    def _server_header(self, data: bytes | bytearray, at: int) -> Header | None:
        return packets.read_header(data, at, KEEP_ANSWER)

    # --- the compressed protocol ---------------------------------------------------------------------

    def feed(self, chunk: Chunk) -> Sequence[Message]:
        """Take the next bytes of one direction; return the commands that they complete."""
        plain = self._decompressed(chunk, self._compression) if self._compression else chunk
        messages = super().feed(plain)
        if self._streams:
            raise ProtocolError("what follows is no answer, but a stream", messages)
        return messages

    def _decompressed(self, chunk: Chunk, compression: Compression) -> Chunk:
        try:
            plain = compression.plain(chunk)
        except BrokenError as error:
            self._leave(str(error), chunk)
        self._budget.charge(len(plain.data))
        return plain

    def gap(self, gap: Gap) -> Sequence[Message]:
        """Go on where the hole lies within one packet; what is compressed cannot be read any more."""
        if self._compression is not None:
            self._leave("bytes of the compressed protocol were lost", None)
        return super().gap(gap)

    def _lose(self, reason: str, direction: Direction, chunk: Chunk | None) -> None:
        if self._compression is not None:
            self._leave(reason, self._compression.chunk)
        super()._lose(reason, direction, chunk)

    def _leave(self, reason: str, chunk: Chunk | None) -> NoReturn:
        """Give the connection up: where its packets begin cannot be found again."""
        self._end(reason, None)
        raise ProtocolError(reason, self._take(), [chunk] if chunk else [])

    def _raw(self, chunks: Iterable[Chunk]) -> list[Message]:
        """Show no bytes that were decompressed: they are not those of the stream."""
        return [] if self._compression else super()._raw(chunks)

    # --- what the client sends -----------------------------------------------------------------------

    def _sent(self, frame: Frame) -> None:
        packet = self._sent_packets.add(frame)
        if packet is None or self._phase is Phase.AUTHENTICATING:  # passwords are never shown
            return
        if self._phase is Phase.LOGIN:
            self._log_in(packet)
        elif self._waiting and self._waiting[0].wants_file:
            self._waiting[0].file_sent(packet)
        else:
            self._command(packet)

    def _log_in(self, packet: Frame) -> None:
        login = packets.read_login(packet.payload) if packet.size > _TLS_REQUEST else None
        if login is None:
            return  # SSLRequest: the login follows, within TLS or where TLS was removed
        self._can = login.can
        self._session.begin(login.can)
        self._authenticate(Command("connect", packet.began), login)

    def _authenticate(self, command: Command, login: Login) -> None:
        command.user, command.database = self._user, self._database = login.user, login.database
        self._login = command
        self._secret = True
        self._phase = Phase.AUTHENTICATING

    def _command(self, packet: Frame) -> None:
        if packet.type or not packet.payload:
            raise BrokenError("a command out of order")
        code = packet.payload[0]
        if code == CHANGE_USER:
            self._change_user(packet)
        elif code == LONG_DATA:
            self._budget.charge(AHEAD_COST)
            self._session.long_data(packet)
        else:
            self._ask(read_command(self._session, packet), packet)

    def _ask(self, asked: Asked, packet: Frame) -> None:
        command = self._begin(asked.command)
        if asked.style is None:
            self._show(command)
            self._streams = self._streams or asked.streams
            return
        if asked.prepares:
            self._budget.charge(STATEMENT_COST)
        self._wait(asked.style, packet, command, asked.prepares)

    def _change_user(self, packet: Frame) -> None:
        self._secret = True
        if self._waiting:
            raise BrokenError("a change of user before all commands are answered")
        command = self._begin(made("change_user", packet))
        self._authenticate(command, packets.read_user(packet.payload[1:], self._can))

    def _wait(self, style: Style, packet: Frame, command: Command, statement: MySqlStatement | None) -> None:
        expected = (packet.last + 1) % 256
        self._waiting.append(Answer(command, style, self._session.dialect, expected, statement))
        if len(self._waiting) > MAX_PENDING:
            raise BrokenError(f"{MAX_PENDING} further commands")

    # --- what the server answers ---------------------------------------------------------------------

    def _answered(self, frame: Frame) -> None:
        packet = self._answered_packets.add(frame)
        if packet is None:
            return
        if self._phase is Phase.GREETING:
            self._phase = Phase.LOGIN
        elif self._phase is Phase.AUTHENTICATING:
            self._authenticated(packet)
        elif self._last and self._last.is_late_eof(packet):
            self._session.dialect.eof = True
        elif self._waiting:
            self._answer(self._waiting[0], packet)
        else:
            self._unasked(packet)

    def _authenticated(self, packet: Frame) -> None:
        first = packet.payload[0] if packet.payload else None
        if first in {packets.EOF, packets.MORE_AUTH, _NEXT_AUTH}:
            return
        command = self._login
        if first not in {packets.OK, packets.ERR} or command is None:
            raise BrokenError("no answer to a login")
        if first == packets.OK:
            schema = packets.read_ok(packet).schema
            self._database = self._database if schema is None else schema or None
        else:
            command.failure = packets.read_error(packet)
        self._phase = Phase.READY
        self._secret = False
        self._login = None
        command.ended = packet.ended
        self._show(command)
        if command.kind == "connect" and self._can & _COMPRESSED:
            self._budget.charge(COMPRESSION_COST)
            self._compression = Compression()
        self._session.forget()

    def _answer(self, answer: Answer, packet: Frame) -> None:
        if (
            packet.type != answer.expected and not self._compression
        ):  # compressed packets have their own count
            raise BrokenError("an answer out of order")
        answer.expected = (packet.last + 1) % 256
        if not answer.take(packet):
            return
        self._last = answer if answer.number is not None else None
        self._waiting.popleft()
        answer.command.ended = packet.ended
        if answer.number is not None:
            self._session.prepared(answer.number, answer.statement)
        self._database = database_after(answer, self._database)
        if answer.command.kind == "reset_connection":
            self._session.forget()
        self._show(answer.command)

    def _unasked(self, packet: Frame) -> None:
        """Take an error that answers nothing: the server ends the connection."""
        if not packet.payload.startswith(b"\xff"):
            raise BrokenError("an answer to nothing that was sent")
        command = self._begin(Command("error", packet.began))
        command.failure = packets.read_error(packet)
        command.ended = packet.ended
        self._show(command)

    # --- the contract --------------------------------------------------------------------------------

    def _pending(self) -> Sequence[Command]:
        commands = [answer.command for answer in self._waiting]
        return [self._login, *commands] if self._login else commands

    def _forget(self) -> None:
        self._waiting.clear()
        self._session.forget()
        self._sent_packets.clear()
        self._answered_packets.clear()
        self._phase = Phase.READY
        self._login = self._last = self._user = self._database = None

    def _remembered(self) -> int:
        parts = self._sent_packets.held + self._answered_packets.held
        answers = [*self._waiting, self._last] if self._last else self._waiting
        used = [known for answer in answers for known in (answer.statement, answer.command.statement)]
        return self._session.size(used) + parts + (COMPRESSION_COST if self._compression else 0)
