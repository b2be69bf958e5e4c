"""Commands of MySQL's protocol by their numbers (`enum_server_command`): what a packet of the client asks, and how it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pellucid.parse.mysql.answer import Style
from pellucid.parse.sql.command import Command, SqlText
from pellucid.parse.sql.frames import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pellucid.parse.mysql.session import Session
    from pellucid.parse.mysql.values import MySqlStatement
    from pellucid.parse.sql.frames import Frame
    from pellucid.parse.sql.kinds import MySqlKind

CHANGE_USER = 0x11
"""COM_CHANGE_USER, which is a login."""

LONG_DATA = 0x18
"""COM_STMT_SEND_LONG_DATA, which is a part of the execution that follows."""


class Asked(NamedTuple):
    """A command, and what comes of it."""

    command: Command
    style: Style | None
    """How it is answered; None where it is not."""
    prepares: MySqlStatement | None = None
    streams: bool = False
    """What follows is a stream of something else."""


class _Plain(NamedTuple):
    """A command whose bytes are text, or not shown."""

    kind: MySqlKind
    style: Style
    text: bool = False


def read_command(session: Session, packet: Frame) -> Asked:
    """Read what this packet, of one byte at least, asks, and tell the session. BrokenError for an unknown command."""
    code = packet.payload[0]
    if special := _SPECIAL.get(code):
        return special(session, packet)
    if stream := _STREAMS.get(code):
        return Asked(made(stream, packet), None, streams=True)
    if plain := _PLAIN.get(code):
        return Asked(made(plain.kind, packet, _text(packet) if plain.text else None), plain.style)
    raise BrokenError("an unknown command")


def made(kind: MySqlKind, packet: Frame, text: SqlText | None = None) -> Command:
    """Make the command that a packet begins; what is lost of it is said where its text does not say so."""
    command = Command(kind, packet.began, text)
    if packet.lost and text is None:
        command.problems.append(f"{packet.lost} bytes of the command were lost")
    return command


def _text(packet: Frame) -> SqlText:
    return SqlText(packet.payload[1:], packet.size - 1, packet.lost)


def _query(session: Session, packet: Frame) -> Asked:
    return Asked(made("query", packet, session.text(packet)), Style.RESULT)


def _prepare(session: Session, packet: Frame) -> Asked:
    statement = session.prepare(_text(packet))
    return Asked(made("prepare", packet, statement.text), Style.PREPARED, statement)


def _execute(session: Session, packet: Frame) -> Asked:
    command = made("execute", packet)
    session.execute(command, packet)
    return Asked(command, Style.RESULT)


def _bulk(session: Session, packet: Frame) -> Asked:
    command = made("execute", packet)
    session.execute_bulk(command, packet)
    return Asked(command, Style.RESULT)


def _fetch(session: Session, packet: Frame) -> Asked:
    command = made("stmt_fetch", packet)
    command.statement = session.statement(packet)
    return Asked(command, Style.ROWS)


def _reset(session: Session, packet: Frame) -> Asked:
    command = made("stmt_reset", packet)
    command.statement = session.reset(packet)
    return Asked(command, Style.OK)


def _close(session: Session, packet: Frame) -> Asked:
    command = made("stmt_close", packet)
    command.statement = session.close(packet)
    return Asked(command, None)


def _quit(_session: Session, packet: Frame) -> Asked:
    return Asked(made("quit", packet), None)


_SPECIAL: dict[int, Callable[[Session, Frame], Asked]] = {
    0x01: _quit,
    0x03: _query,
    0x16: _prepare,
    0x17: _execute,
    0x19: _close,
    0x1A: _reset,
    0x1C: _fetch,
    0xFA: _bulk,
}

_STREAMS: dict[int, MySqlKind] = {
    0x12: "binlog_dump",
    0x13: "table_dump",
    0x1E: "binlog_dump_gtid",
    0x20: "clone",
}
"""Commands that are followed by a stream of something else."""

_PLAIN = {
    0x02: _Plain("init_db", Style.OK, text=True),
    0x04: _Plain("field_list", Style.FIELDS, text=True),
    0x05: _Plain("create_db", Style.OK, text=True),
    0x06: _Plain("drop_db", Style.OK, text=True),
    0x07: _Plain("refresh", Style.OK),
    0x08: _Plain("shutdown", Style.OK),
    0x09: _Plain("statistics", Style.ONE),
    0x0A: _Plain("process_info", Style.RESULT),
    0x0C: _Plain("process_kill", Style.OK),
    0x0D: _Plain("debug", Style.OK),
    0x0E: _Plain("ping", Style.OK),
    0x15: _Plain("register_replica", Style.OK),  # it holds a password
    0x1B: _Plain("set_option", Style.OK),
    0x1F: _Plain("reset_connection", Style.OK),
}
